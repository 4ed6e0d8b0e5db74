use super::*;
use http::{HeaderMap, Method, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

fn account(kind: Kind, credential: Credential) -> Account {
    Account {
        kind,
        credential,
        authority: "cloud.test".to_owned(),
        region: "eu-central-1".to_owned(),
        project: "a-project".to_owned(),
    }
}

fn keys() -> sigv4::Keys {
    sigv4::Keys {
        id: "AKIDEXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        region: "us-east-1".to_owned(),
        service: "service".to_owned(),
        session: None,
    }
}

fn seen(path: &str, headers: &[(&'static str, &str)], body: &str) -> Seen {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }

    Seen {
        version: Version::HTTP_11,
        method: Method::POST,
        path: path.to_owned(),
        authority: "cloud.test".to_owned(),
        headers: map,
        trailers: None,
        body: Bytes::from(body.to_owned()),
        whole: true,
        script: None,
    }
}

#[test]
fn a_signature_is_the_one_of_amazon_s_own_example() {
    // AWS's published test suite of signature version 4, `get-vanilla`.
    let mut request = seen("/", &[("x-amz-date", "20150830T123600Z")], "");
    request.method = Method::GET;
    request.authority = "example.amazonaws.com".to_owned();
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    request.headers.insert("authorization", authorization.parse().unwrap());

    assert_eq!(keys().verify(&request), Ok(()));
    request.body = Bytes::from_static(b"{}");
    assert!(keys().verify(&request).is_err(), "another body");
    request.body = Bytes::new();
    request.path = "/a%3Ab".to_owned();
    assert!(keys().verify(&request).is_err(), "another path");
    let other = sigv4::Keys { service: "bedrock".to_owned(), ..keys() };
    assert!(other.verify(&request).unwrap_err().starts_with("signed for"));
}

#[test]
fn a_path_is_escaped_once_more_for_the_signature() {
    let request = seen("/model/a:0%2Fb/invoke?b=2&a", &[], "");

    let canonical = sigv4::canonical(&request, "host", "digest");

    let expected = "POST\n/model/a%3A0%252Fb/invoke\na=&b=2\nhost:cloud.test\n\nhost\ndigest";
    assert_eq!(canonical, expected);
}

#[test]
fn frames_carry_their_lengths_and_both_sums() {
    assert_eq!(frames::sum(b"123456789"), 0xcbf4_3926);
    let frame = frames::exception("throttlingException", &value!("slow"));
    let total = u32::from_be_bytes(frame[..4].try_into().unwrap());
    assert_eq!(usize::try_from(total).unwrap(), frame.len());
    let end = frame.len() - 4;
    assert_eq!(u32::from_be_bytes(frame[end..].try_into().unwrap()), frames::sum(&frame[..end]));
    assert_eq!(u32::from_be_bytes(frame[8..12].try_into().unwrap()), frames::sum(&frame[..8]));
}

#[test]
fn what_each_cloud_wants_passes_and_what_it_does_not_know_is_named() {
    let key = |name: &'static str| Credential::Header(name, "secret".to_owned());
    let bedrock = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1}"#;
    let vertex = r#"{"anthropic_version":"vertex-2023-10-16"}"#;
    let google = "/v1/projects/a-project/locations/eu-central-1/publishers/anthropic/models/claude-opus-5:rawPredict";
    let auth = ("authorization", "secret");
    let good = [
        (
            Kind::Bedrock,
            "authorization",
            "/model/eu.anthropic.claude-x/invoke",
            vec![auth],
            bedrock,
        ),
        (Kind::Vertex, "authorization", google, vec![auth, ("anthropic-beta", "a")], vertex),
        (
            Kind::Mantle,
            "x-api-key",
            "/anthropic/v1/messages",
            vec![("x-api-key", "secret")],
            r#"{"model":"anthropic.claude-x"}"#,
        ),
        (
            Kind::Foundry,
            "api-key",
            "/anthropic/v1/messages",
            vec![("api-key", "secret")],
            r#"{"model":"x"}"#,
        ),
        (
            Kind::Platform,
            "x-api-key",
            "/v1/messages",
            vec![("x-api-key", "secret"), ("anthropic-workspace-id", "a-project")],
            r#"{"model":"x"}"#,
        ),
    ];
    for (kind, name, path, headers, body) in good {
        let account = account(kind, key(name));
        let told = |path: &str, headers: &[_], body: &str| {
            checks::violations(&seen(path, headers, body), &account)
        };
        assert_eq!(told(path, &headers, body), Vec::<String>::new(), "{kind:?}");
        assert!(!told("/v1/other", &headers, body).is_empty(), "{kind:?}: another path");
        assert!(!told(path, &[], body).is_empty(), "{kind:?}: no credential");
        let with = |more| headers.iter().copied().chain([more]).collect::<Vec<_>>();
        assert!(!told(path, &with(("x-user-id", "a")), body).is_empty(), "{kind:?}: who calls");
        assert!(!told(path, &with(("accept", "canary")), body).is_empty(), "{kind:?}: a canary");
        let other = if body.contains("model") { "{}" } else { r#"{"model":"claude-x"}"# };
        assert!(!told(path, &headers, other).is_empty(), "{kind:?}: another body");
    }
}

async fn post(cloud: &Cloud, path: &str, body: String) -> (StatusCode, String, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{}{path}", cloud.address))
        .header("host", "cloud.test")
        .header("authorization", "Bearer token")
        .body(Full::from(body))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();

    (status, kind, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn bedrock_obeys_the_script_in_frames_json_and_counts() {
    let bearer = Credential::Header("authorization", "Bearer token".to_owned());
    let listen = "127.0.0.1:0".parse().unwrap();
    let cloud = Cloud::start(listen, account(Kind::Bedrock, bearer), None).await.unwrap();
    let body = |script: &Script, betas: &str| {
        value!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1,
            "anthropic_beta": betas.split(',').filter(|beta| !beta.is_empty()).collect::<Vec<_>>(),
            "metadata": {"user_id": script.user_id()}})
        .to_string()
    };
    let base = "/model/eu.anthropic.claude-haiku-4-5-20251001-v1:0";

    let script = Script::new();
    let stream = format!("{base}/invoke-with-response-stream");
    let (status, kind, bytes) = post(&cloud, &stream, body(&script, "")).await;
    assert_eq!((status, &*kind), (StatusCode::OK, "application/vnd.amazon.eventstream"));
    let first = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    let sum = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
    assert!(usize::try_from(first).unwrap() < bytes.len(), "more than one frame");
    assert_eq!(sum, frames::sum(&bytes[..8]));
    assert_eq!(cloud.seen(&script).len(), 1);

    let (_, _, bytes) = post(&cloud, &format!("{base}/invoke"), body(&Script::new(), "")).await;
    let message: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(message["model"], "claude-haiku-4-5", "Anthropic's name");

    let script = Script::new();
    let inner = STANDARD.encode(body(&script, ""));
    let count = value!({"input": {"invokeModel": {"body": inner}}}).to_string();
    let path = "/model/anthropic.claude-haiku-4-5-20251001-v1:0/count-tokens";
    let (_, _, bytes) = post(&cloud, path, count).await;
    assert_eq!(&*bytes, br#"{"inputTokens":25}"#);
    assert_eq!(cloud.seen(&script).len(), 1, "the script within");

    let unknown = body(&Script::new(), "claude-code-20250219");
    let (status, _, bytes) = post(&cloud, &format!("{base}/invoke"), unknown).await;
    assert_eq!(
        (status, &*bytes),
        (StatusCode::BAD_REQUEST, &br#"{"message":"invalid beta flag"}"#[..])
    );
    assert_eq!(cloud.violations(), Vec::<String>::new());

    let (status, _, _) = post(&cloud, &format!("{base}/invoke"), "{}".to_owned()).await;
    assert_eq!(status, StatusCode::IM_A_TEAPOT);
    assert!(!cloud.violations().is_empty());
}
