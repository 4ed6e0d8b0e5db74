# Tollgate. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: run test check fmt lint unit wasm e2e failures bench fuzz helper dist size docs clean help

run: ## Prepare, build, start everything, send one call through, serve until Ctrl-C
	@tools/run

# Everything is built once: what incremental compilation would keep for a next time is as large as all the rest.
test: ## Everything: formats, lints, unit to end-to-end (what continuous integration runs)
	@tools/prepare --tests
	@CARGO_INCREMENTAL=$${CARGO_INCREMENTAL:-0} tools/test

check: test ## The same

fmt: ## Format all code
	@cargo fmt --all

lint: ## Clippy, for this machine and for wasm
	@tools/prepare
	@tools/test lint

unit: ## Unit tests, native and (with the pure parts) as wasm under Node
	@tools/prepare --tests
	@tools/test unit wasm-unit

wasm: ## Build the filter: target/wasm/tollgate_filter.wasm
	@tools/prepare
	@tools/build-wasm

e2e: ## End-to-end tests on the real Envoy; one suite: make e2e SUITE=refuses
	@tools/prepare --tests
	@tools/test wasm e2e $(if $(SUITE),-- $(SUITE))

failures: ## Each fault of docs/failures.md 20 times under load, on both databases; about an hour
	@tools/failures

bench: ## What the gate costs, beside the same Envoy without it; writes target/bench.json
	@tools/bench

fuzz: ## Fuzz the decoders of hostile bytes, a minute each: make fuzz SECONDS=60
	@tools/fuzz $(or $(SECONDS),60)

helper: ## The helper compiles for Windows and macOS, and passes its tests in Wine; ten minutes
	@tools/prepare
	@tools/check-helper
	@tools/wine-helper

dist: ## The release, in target/dist: docs/release.md; signed: make dist KEY=release.pem
	@tools/prepare --release
	@tools/dist $(if $(KEY),--key "$(KEY)")

size: ## No source file is over 400 lines
	@tools/test size

docs: ## Every path that the documents name exists
	@tools/test docs

clean: ## Remove what was built (not the tools in .tools)
	@cargo clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
