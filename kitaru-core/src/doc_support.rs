//! Support for the examples in the documentation. Not part of the public interface.

use std::future::Future;

use crate::client::Kitaru;
use crate::dynamic;
use crate::error::Error;

/// Runs a future as a flow on a store in memory, to its end.
pub fn run_flow(flow: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let kitaru = Kitaru::builder().in_memory().open().await.expect("a store in memory");
        let run = dynamic::flow("example").run(move || async move {
            flow.await;
            Ok::<(), Error>(())
        });
        run.on(&kitaru).await.expect("the example's flow completes");
    });
}
