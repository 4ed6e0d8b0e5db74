//! A host in memory, of which any one call can be made to fail.

use super::{Body, Headers, Host, HostError, Map, Shared};
use crate::counters::{Counter, Gauge};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What the client was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

type Pairs = Vec<(String, Vec<u8>)>;

#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) now: Cell<u64>,
    pub(crate) maps: RefCell<HashMap<Map, Pairs>>,
    pub(crate) bodies: RefCell<HashMap<Body, Vec<u8>>>,
    pub(crate) properties: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(crate) state: RefCell<BTreeMap<String, String>>,
    pub(crate) replies: RefCell<Vec<Reply>>,
    pub(crate) data: RefCell<HashMap<String, Shared>>,
    pub(crate) counted: RefCell<Vec<Counter>>,
    /// Calls to other clusters: path and body. Their tokens are numbered from 1.
    pub(crate) posts: RefCell<Vec<(String, String)>>,
    /// What the call that has ended was answered.
    pub(crate) answer: Cell<Option<u16>>,
    /// How often a request that was held went on.
    pub(crate) resumed: Cell<usize>,
    /// Streams whose held answer is to be let go.
    pub(crate) releases: RefCell<Vec<u32>>,
    /// What was said in other streams.
    pub(crate) spoken: RefCell<Vec<(u32, String)>>,
    /// The number of the call that is refused; calls are numbered from 1.
    pub(crate) fails: Cell<Option<usize>>,
    pub(crate) calls: RefCell<Vec<&'static str>>,
}

impl FakeHost {
    fn called(&self, call: &'static str) -> Result<(), HostError> {
        self.calls.borrow_mut().push(call);
        if self.fails.get() == Some(self.calls.borrow().len()) {
            return Err(HostError { call, status: 2 });
        }
        Ok(())
    }

    pub(crate) fn put_headers(&self, map: Map, headers: &[(&str, &str)]) {
        let list = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        self.maps.borrow_mut().insert(map, list);
    }

    /// The record, if one was written and is to be carried.
    pub(crate) fn record(&self) -> Option<String> {
        let state = self.state.borrow();
        if state.contains_key(contract::audit::NO_ROW_MARK) {
            return None;
        }
        state.get(contract::audit::PROPERTY).cloned()
    }

    pub(crate) fn header(&self, map: Map, name: &str) -> Option<String> {
        let maps = self.maps.borrow();
        let (_, value) = maps.get(&map)?.iter().find(|(candidate, _)| candidate == name)?;
        Some(String::from_utf8(value.clone()).unwrap())
    }
}

impl Host for FakeHost {
    fn now(&self) -> Result<u64, HostError> {
        self.called("now")?;
        self.now.set(self.now.get() + 1_000);
        Ok(self.now.get())
    }

    fn headers(&self, map: Map) -> Result<Headers, HostError> {
        self.called("headers")?;
        let maps = self.maps.borrow();
        let list = maps.get(&map).map(Vec::as_slice).unwrap_or_default();
        Ok(list.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect())
    }

    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError> {
        self.called("set_header")?;
        let mut maps = self.maps.borrow_mut();
        let list = maps.entry(map).or_default();
        list.retain(|(candidate, _)| candidate != name);
        list.push((name.to_owned(), value.as_bytes().to_vec()));
        Ok(())
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError> {
        self.called("remove_header")?;
        let mut maps = self.maps.borrow_mut();
        maps.entry(map).or_default().retain(|(candidate, _)| candidate != name);
        Ok(())
    }

    fn body(&self, body: Body, length: usize) -> Result<Vec<u8>, HostError> {
        self.called("body")?;
        let bodies = self.bodies.borrow();
        let bytes = bodies.get(&body).map(Vec::as_slice).unwrap_or_default();
        Ok(bytes[..length.min(bytes.len())].to_vec())
    }

    fn set_body(&self, body: Body, length: usize, bytes: &[u8]) -> Result<(), HostError> {
        self.called("set_body")?;
        let mut bodies = self.bodies.borrow_mut();
        let whole = bodies.entry(body).or_default();
        let length = length.min(whole.len());
        whole.splice(..length, bytes.iter().copied());
        Ok(())
    }

    fn release_soon(&self, stream: u32) -> Result<(), HostError> {
        self.called("release_soon")?;
        self.releases.borrow_mut().push(stream);
        Ok(())
    }

    fn speak(&self, stream: u32, bytes: &[u8]) -> Result<(), HostError> {
        self.called("speak")?;
        let said = String::from_utf8(bytes.to_vec()).unwrap();
        self.spoken.borrow_mut().push((stream, said));
        Ok(())
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
        self.called("property")?;
        Ok(self.properties.borrow().get(&path.join(".")).cloned())
    }

    fn set_state(&self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.called("set_state")?;
        let value = String::from_utf8(value.to_vec()).unwrap();
        self.state.borrow_mut().insert(name.to_owned(), value);
        Ok(())
    }

    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), HostError> {
        self.called("reply")?;
        let headers =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.replies.borrow_mut().push(Reply { status, headers, body });
        Ok(())
    }

    fn shared(&self, key: &str) -> Result<Shared, HostError> {
        self.called("shared")?;
        Ok(self.data.borrow().get(key).cloned().unwrap_or_default())
    }

    fn share(&self, key: &str, value: &[u8], cas: Option<u32>) -> Result<bool, HostError> {
        self.called("share")?;
        let mut data = self.data.borrow_mut();
        let next = data.values().map(|shared| shared.cas).max().unwrap_or_default() + 1;
        if data.get(key).zip(cas).is_some_and(|(known, cas)| known.cas != cas) {
            return Ok(false);
        }
        data.insert(key.to_owned(), Shared { value: value.to_vec(), cas: next });
        Ok(true)
    }

    fn post(&self, _: &str, path: &str, body: &[u8], _: Duration) -> Result<u32, HostError> {
        self.called("post")?;
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.posts.borrow_mut().push((path.to_owned(), body));
        Ok(u32::try_from(self.posts.borrow().len()).unwrap())
    }

    fn call_status(&self) -> Result<Option<u16>, HostError> {
        self.called("call_status")?;
        Ok(self.answer.get())
    }

    fn call_header(&self, name: &str) -> Result<Option<String>, HostError> {
        self.called("call_header")?;
        Ok(self.answer.get().map(|status| format!("{name}:{status}")))
    }

    fn resume(&self) -> Result<(), HostError> {
        self.called("resume")?;
        self.resumed.set(self.resumed.get() + 1);
        Ok(())
    }

    fn count(&self, counter: Counter) -> Result<(), HostError> {
        self.called("count")?;
        self.counted.borrow_mut().push(counter);
        Ok(())
    }

    fn gauge(&self, _: Gauge, _: u64) -> Result<(), HostError> {
        self.called("gauge")
    }
}
