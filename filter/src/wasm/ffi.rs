//! The host calls of the proxy-wasm ABI 0.2.1 that the filter makes, declared here because the
//! SDK's own wrappers panic when the host refuses one.
//!
//! What the host returns it has written into memory that it asked this module to allocate
//! (`proxy_on_memory_allocate`, the SDK's), and hands over.

#![expect(unsafe_code, reason = "host calls are foreign functions; they are all here")]

use crate::host::HostError;
use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// proxy-wasm's status codes, as far as they are told apart.
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const EMPTY: u32 = 7;
const CAS_MISMATCH: u32 = 8;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, value: *const u8, value_size: usize) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
}

fn check(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == OK { Ok(()) } else { Err(HostError { call, status }) }
}

/// What the host handed over.
struct Given {
    data: *mut u8,
    size: usize,
}

impl Given {
    const NOTHING: Self = Self { data: null_mut(), size: 0 };

    fn take(self) -> Vec<u8> {
        if self.data.is_null() {
            return Vec::new();
        }
        // SAFETY: the host got this memory from `proxy_on_memory_allocate`, which made it as a
        // boxed slice of exactly this size, filled it, and keeps no pointer to it.
        unsafe { Box::from_raw(slice_from_raw_parts_mut(self.data, self.size)) }.into_vec()
    }
}

/// Unix nanoseconds.
pub(super) fn now() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: `time` outlives the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    check("get_current_time_nanoseconds", status)?;

    Ok(time)
}

/// A whole header map in the ABI's form.
pub(super) fn header_map(map: u32) -> Result<Vec<u8>, HostError> {
    let mut given = Given::NOTHING;
    // SAFETY: both places outlive the call.
    let status =
        unsafe { proxy_get_header_map_pairs(map, &raw mut given.data, &raw mut given.size) };
    check("get_header_map_pairs", status)?;

    Ok(given.take())
}

/// Replaces or adds a header.
pub(super) fn set_header(map: u32, name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: name and value outlive the call; the host copies them.
    let status = unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    check("replace_header_map_value", status)
}

/// Removes a header.
pub(super) fn remove_header(map: u32, name: &str) -> Result<(), HostError> {
    // SAFETY: the name outlives the call.
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    check("remove_header_map_value", status)
}

/// Bytes of a buffer, from its start.
pub(super) fn buffer(buffer: u32, length: usize) -> Result<Vec<u8>, HostError> {
    let mut given = Given::NOTHING;
    // SAFETY: both places outlive the call.
    let status = unsafe {
        proxy_get_buffer_bytes(buffer, 0, length, &raw mut given.data, &raw mut given.size)
    };
    if status == NOT_FOUND {
        return Ok(Vec::new());
    }
    check("get_buffer_bytes", status)?;

    Ok(given.take())
}

/// An attribute; its path is joined by zero bytes.
pub(super) fn property(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    let mut given = Given::NOTHING;
    // SAFETY: path and places outlive the call.
    let status = unsafe {
        proxy_get_property(path.as_ptr(), path.len(), &raw mut given.data, &raw mut given.size)
    };
    if status == NOT_FOUND {
        return Ok(None);
    }
    check("get_property", status)?;

    Ok(Some(given.take()))
}

/// Sets filter state.
pub(super) fn set_property(path: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: path and value outlive the call; the host copies them.
    let status =
        unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    check("set_property", status)
}

/// Answers the client. `headers` in the ABI's form.
pub(super) fn reply(status: u16, headers: &[u8], body: &[u8]) -> Result<(), HostError> {
    const NO_GRPC_STATUS: i32 = -1;
    // SAFETY: headers and body outlive the call; the host copies them. No details are given.
    let status = unsafe {
        proxy_send_local_response(
            u32::from(status),
            null_mut(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    };
    check("send_local_response", status)
}

/// A shared value and its version; none is an empty value of version 0.
pub(super) fn shared(key: &str) -> Result<(Vec<u8>, u32), HostError> {
    let mut given = Given::NOTHING;
    let mut cas = 0;
    // SAFETY: key and places outlive the call.
    let status = unsafe {
        proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            &raw mut given.data,
            &raw mut given.size,
            &raw mut cas,
        )
    };
    if status == NOT_FOUND {
        return Ok((Vec::new(), 0));
    }
    check("get_shared_data", status)?;

    Ok((given.take(), cas))
}

/// Sets a shared value; `false` if `cas` (0: do not compare) is not its version any more.
pub(super) fn share(key: &str, value: &[u8], cas: u32) -> Result<bool, HostError> {
    // SAFETY: key and value outlive the call; the host copies them.
    let status =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    if status == CAS_MISMATCH {
        return Ok(false);
    }
    check("set_shared_data", status)?;

    Ok(true)
}

/// A counter's id.
pub(super) fn define_counter(name: &str) -> Result<u32, HostError> {
    const COUNTER: u32 = 0;
    define(COUNTER, name)
}

/// A gauge's id.
pub(super) fn define_gauge(name: &str) -> Result<u32, HostError> {
    const GAUGE: u32 = 1;
    define(GAUGE, name)
}

fn define(kind: u32, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: name and place outlive the call.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    check("define_metric", status)?;

    Ok(id)
}

/// Counts one.
pub(super) fn increment(id: u32) -> Result<(), HostError> {
    // SAFETY: takes numbers only.
    check("increment_metric", unsafe { proxy_increment_metric(id, 1) })
}

/// Says what a gauge is now.
pub(super) fn record(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: takes numbers only.
    check("record_metric", unsafe { proxy_record_metric(id, value) })
}

/// Sets the root context's tick.
pub(super) fn tick_every(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: takes a number only.
    let status = unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
    check("set_tick_period_milliseconds", status)
}

/// Lets the held request of the stream at hand go on.
pub(super) fn continue_request() -> Result<(), HostError> {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: takes a number only.
    check("continue_stream", unsafe { proxy_continue_stream(HTTP_REQUEST) })
}

/// Lets the held answer of the stream at hand go on.
pub(super) fn continue_response() -> Result<(), HostError> {
    const HTTP_RESPONSE: u32 = 1;
    // SAFETY: takes a number only.
    check("continue_stream", unsafe { proxy_continue_stream(HTTP_RESPONSE) })
}

/// Puts bytes in the place of the first `length` of a buffer.
pub(super) fn set_buffer(buffer: u32, length: usize, bytes: &[u8]) -> Result<(), HostError> {
    put(buffer, 0, length, bytes)
}

/// Puts bytes behind whatever a buffer holds.
pub(super) fn append_to_buffer(buffer: u32, bytes: &[u8]) -> Result<(), HostError> {
    const BEHIND_ALL: usize = usize::MAX;
    put(buffer, BEHIND_ALL, 0, bytes)
}

fn put(buffer: u32, start: usize, length: usize, bytes: &[u8]) -> Result<(), HostError> {
    // SAFETY: the bytes outlive the call; the host copies them.
    let status =
        unsafe { proxy_set_buffer_bytes(buffer, start, length, bytes.as_ptr(), bytes.len()) };
    check("set_buffer_bytes", status)
}

/// A queue's id. Whoever registers it is told when something is in it.
pub(super) fn register_queue(name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: name and place outlive the call.
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut id) };
    check("register_shared_queue", status)?;

    Ok(id)
}

/// Puts something in a queue.
pub(super) fn enqueue(id: u32, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the value outlives the call; the host copies it.
    let status = unsafe { proxy_enqueue_shared_queue(id, value.as_ptr(), value.len()) };
    check("enqueue_shared_queue", status)
}

/// Takes something out of a queue; `None` if there is nothing.
pub(super) fn dequeue(id: u32) -> Result<Option<Vec<u8>>, HostError> {
    let mut given = Given::NOTHING;
    // SAFETY: both places outlive the call.
    let status =
        unsafe { proxy_dequeue_shared_queue(id, &raw mut given.data, &raw mut given.size) };
    if status == EMPTY {
        return Ok(None);
    }
    check("dequeue_shared_queue", status)?;

    Ok(Some(given.take()))
}

/// Calls of the host are about this stream from now on, until this callback ends.
pub(super) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: takes a number only.
    check("set_effective_context", unsafe { proxy_set_effective_context(context) })
}
