//! Questions against cells that are fed by hand: roll-ups against brute force,
//! and the service over real sockets.

#[path = "query/cli.rs"]
mod cli;
#[path = "query/fixture.rs"]
mod fixture;
#[path = "support/grid.rs"]
mod grid;
#[path = "query/lists.rs"]
mod lists;
#[path = "query/resuming.rs"]
mod resuming;
#[path = "query/rollup.rs"]
mod rollup;
#[path = "query/service.rs"]
mod service;
#[path = "query/unseen.rs"]
mod unseen;
#[path = "query/watching.rs"]
mod watching;
