//! The filter as Envoy loads it: entry point, and the only code that knows the proxy-wasm ABI.

mod ffi;
mod envoy;
mod root;
mod stream;
mod lane;

use root::Root;

proxy_wasm::main! {{
    log::set_max_level(log::LevelFilter::Info);
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(Root::of(context)));
}}
