//! Tests that share one world and run at once.
//!
//! ```ignore
//! static SUITE: Suite = Suite::new(|| Setup::named("forwards"));
//!
//! #[test]
//! fn a_call_reaches_the_provider() {
//!     SUITE.run(async |world| { … });
//! }
//! ```

use crate::world::World;
use crate::world::setup::Setup;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Longest a test may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// One for all: the provider's tasks must outlive the test that started the world.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The tests of one file.
#[derive(Debug)]
pub struct Suite {
    setup: fn() -> Setup,
    world: OnceLock<Result<World, String>>,
}

impl Suite {
    /// A suite whose world is made like this when the first test needs it.
    pub const fn new(setup: fn() -> Setup) -> Self {
        Self { setup, world: OnceLock::new() }
    }

    /// Runs one test.
    pub fn run(&self, test: impl AsyncFnOnce(&World)) {
        let world = self.world.get_or_init(|| {
            RUNTIME.block_on(World::start((self.setup)())).map_err(|error| format!("{error:#}"))
        });
        match world {
            Ok(world) => watched(world, PATIENCE, test),
            Err(error) => panic!("the world did not start: {error}"),
        }
    }
}

/// Runs one test in a world of its own, which ends with it.
pub fn alone(setup: Setup, test: impl AsyncFnOnce(&World)) {
    alone_within(setup, PATIENCE, test);
}

/// The same for a test that may take longer.
pub fn alone_within(setup: Setup, patience: Duration, test: impl AsyncFnOnce(&World)) {
    let world = RUNTIME.block_on(World::start(setup)).unwrap_or_else(|error| panic!("{error:#}"));

    watched(&world, patience, test);
}

/// Runs a test that needs no world.
pub fn bare<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

fn watched(world: &World, patience: Duration, test: impl AsyncFnOnce(&World)) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        RUNTIME.block_on(async {
            let ended = tokio::time::timeout(patience, test(world)).await;
            assert!(ended.is_ok(), "the test took longer than {patience:?}");
        });
        let violations = world.violations();
        assert!(violations.is_empty(), "reached the provider and must not: {violations:#?}");
    }));
    if let Err(panic) = result {
        eprintln!("{}", world.logs());
        resume_unwind(panic);
    }
}
