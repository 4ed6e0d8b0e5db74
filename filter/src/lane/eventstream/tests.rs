use super::*;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A frame as the specification writes it, for headers that are written already.
pub(in crate::lane) fn framed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(PRELUDE + headers.len() + payload.len() + TRAILER).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend(crc::crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc::crc32(&frame).to_be_bytes());

    frame
}

/// Headers of texts.
pub(in crate::lane) fn texts(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(u8::try_from(name.len()).unwrap());
        bytes.extend(name.as_bytes());
        bytes.push(7);
        bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value.as_bytes());
    }

    bytes
}

fn only(bytes: &[u8]) -> Result<Option<Vec<u8>>, Corrupt> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);

    decoder.next_frame().map(|frame| frame.map(|frame| frame.payload.to_vec()))
}

#[test]
fn the_checksum_is_the_one_that_every_crc_32_is_checked_by() {
    assert_eq!(crc::crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc::crc32(b""), 0);
}

#[test]
fn the_vectors_of_the_aws_sdk_are_read_and_refused_as_it_does() {
    use Corrupt::{Header, Length, Message, Prelude};
    // Those with broken headers have broken sums as well, which are looked at first here.
    for (name, bytes, expected, sealed) in [
        ("no name", &include_bytes!("vectors/invalid_header_name_length")[..], Message, Header),
        (
            "a name that is no text",
            include_bytes!("vectors/invalid_header_name_length_too_long"),
            Message,
            Header,
        ),
        (
            "a text that is cut",
            include_bytes!("vectors/invalid_header_string_length_cut_off"),
            Message,
            Header,
        ),
        (
            "a text that is too long",
            include_bytes!("vectors/invalid_header_string_value_length"),
            Message,
            Header,
        ),
        (
            "a type that is none",
            include_bytes!("vectors/invalid_header_value_type"),
            Message,
            Header,
        ),
        (
            "headers beyond the frame",
            include_bytes!("vectors/invalid_headers_length"),
            Length,
            Length,
        ),
        ("a wrong sum", include_bytes!("vectors/invalid_message_checksum"), Message, Message),
        ("wrong lengths", include_bytes!("vectors/invalid_prelude_checksum"), Prelude, Prelude),
    ] {
        assert_eq!(only(bytes), Err(expected), "{name}");
        if sealed == Header {
            let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            let end = PRELUDE + usize::try_from(length).unwrap();
            let again = framed(&bytes[PRELUDE..end], &bytes[end..bytes.len() - TRAILER]);
            assert_eq!(only(&again), Err(sealed), "{name}, with sums that are right");
        }
    }
    assert_eq!(only(include_bytes!("vectors/valid_empty_payload")), Ok(Some(Vec::new())));
    assert!(matches!(only(include_bytes!("vectors/valid_no_headers")), Ok(Some(_))));
}

#[test]
fn headers_of_all_types_are_read() {
    let mut decoder = Decoder::default();
    decoder.feed(include_bytes!("vectors/valid_with_all_headers_and_payload"));
    let frame = decoder.next_frame().unwrap().unwrap();

    let values: Vec<_> = frame.headers().map(|header| header.unwrap().value).collect();

    assert_eq!(
        values[..6],
        [
            Value::Bool(true),
            Value::Bool(false),
            Value::Byte(50),
            Value::Int16(20_000),
            Value::Int32(500_000),
            Value::Int64(50_000_000_000),
        ]
    );
    assert!(matches!(
        values[6..],
        [Value::Bytes(_), Value::Text(_), Value::Timestamp(_), Value::Uuid(_)]
    ));
}

#[test]
fn no_frame_is_awaited_that_is_larger_than_frames_are() {
    let mut prelude = u32::try_from(LARGEST + 1).unwrap().to_be_bytes().to_vec();
    prelude.extend(0u32.to_be_bytes());
    prelude.extend(crc::crc32(&prelude).to_be_bytes());

    assert_eq!(only(&prelude), Err(Corrupt::Length), "before its first byte came");
    let mut small = 15u32.to_be_bytes().to_vec();
    small.extend(0u32.to_be_bytes());
    small.extend(crc::crc32(&small).to_be_bytes());
    assert_eq!(only(&small), Err(Corrupt::Length));
}

#[test]
fn a_header_that_stands_twice_is_not_read() {
    let frame = framed(&texts(&[("a", "1"), ("a", "2"), ("b", "3")]), b"");
    let mut decoder = Decoder::default();
    decoder.feed(&frame);
    let frame = decoder.next_frame().unwrap().unwrap();

    assert_eq!(frame.text("a"), Err(Corrupt::Header));
    assert_eq!(frame.text("b"), Ok(Some("3")));
    assert_eq!(frame.text("c"), Ok(None));
}

proptest! {
    #[test]
    fn frames_are_the_same_however_they_are_cut(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..5),
        cuts in prop::collection::vec(1usize..40, 1..60),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(&texts(&[("n", "v")]), payload)).collect();
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.into_iter().chain([stream.len()]) {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            decoder.feed(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push(frame.payload.to_vec());
            }
        }
        prop_assert_eq!(seen, payloads);
        prop_assert!(decoder.is_between());
    }

    #[test]
    fn one_wrong_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut frame = framed(&texts(&[("name", "value")]), &payload);
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;

        prop_assert!(only(&frame).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _nothing = only(&bytes);
        let _nothing = only(&framed(&bytes, &bytes));
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod oracle {
    use super::*;
    use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
    use aws_smithy_types::DateTime;
    use aws_smithy_types::event_stream::{Header as Theirs, HeaderValue, Message};

    fn value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<bool>().prop_map(HeaderValue::Bool),
            any::<i8>().prop_map(HeaderValue::Byte),
            any::<i16>().prop_map(HeaderValue::Int16),
            any::<i32>().prop_map(HeaderValue::Int32),
            any::<i64>().prop_map(HeaderValue::Int64),
            prop::collection::vec(any::<u8>(), 1..30)
                .prop_map(|bytes| HeaderValue::ByteArray(bytes.into())),
            "\\PC{1,20}".prop_map(|text| HeaderValue::String(text.into())),
            (0i64..4_000_000_000_000)
                .prop_map(|millis| HeaderValue::Timestamp(DateTime::from_millis(millis))),
            any::<u128>().prop_map(HeaderValue::Uuid),
        ]
    }

    fn same(ours: &Value<'_>, theirs: &HeaderValue) -> bool {
        match (ours, theirs) {
            (Value::Bool(ours), HeaderValue::Bool(theirs)) => ours == theirs,
            (Value::Byte(ours), HeaderValue::Byte(theirs)) => ours == theirs,
            (Value::Int16(ours), HeaderValue::Int16(theirs)) => ours == theirs,
            (Value::Int32(ours), HeaderValue::Int32(theirs)) => ours == theirs,
            (Value::Int64(ours), HeaderValue::Int64(theirs)) => ours == theirs,
            (Value::Bytes(ours), HeaderValue::ByteArray(theirs)) => **ours == theirs[..],
            (Value::Text(ours), HeaderValue::String(theirs)) => *ours == theirs.as_str(),
            (Value::Timestamp(ours), HeaderValue::Timestamp(theirs)) => {
                *ours == theirs.to_millis().unwrap()
            }
            (Value::Uuid(ours), HeaderValue::Uuid(theirs)) => u128::from_be_bytes(*ours) == *theirs,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn what_the_aws_sdk_writes_is_read(
            headers in prop::collection::vec(("\\PC{1,12}", value()), 0..8),
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut message = Message::new(bytes::Bytes::from(payload.clone()));
            for (name, value) in &headers {
                message = message.add_header(Theirs::new(name.clone(), value.clone()));
            }
            let mut written = Vec::new();
            write_message_to(&message, &mut written).unwrap();

            let mut decoder = Decoder::default();
            decoder.feed(&written);
            let frame = decoder.next_frame().unwrap().unwrap();

            prop_assert_eq!(frame.payload, &payload[..]);
            let read: Vec<_> = frame.headers().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), headers.len());
            for (ours, (name, value)) in read.iter().zip(&headers) {
                prop_assert_eq!(ours.name, name);
                prop_assert!(same(&ours.value, value), "{:?} {:?}", ours, value);
            }
        }

        #[test]
        fn what_is_read_here_the_aws_sdk_reads_too(headers in prop::collection::vec(any::<u8>(), 0..40)) {
            let frame = framed(&headers, b"payload");
            if only(&frame).is_ok() {
                // The SDK takes an empty value at the very end for a cut one.
                let theirs = read_message_from(&mut bytes::Bytes::from(frame));
                prop_assert!(theirs.is_ok() || headers.ends_with(&[0, 0]), "{:?}", theirs);
            }
        }
    }
}
