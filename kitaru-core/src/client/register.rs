//! Naming the flows of a library.

use crate::client::builder::KitaruBuilder;
use crate::client::flow_call::FlowCall;
use crate::flow::FlowFunction;

impl KitaruBuilder {
    /// Registers a flow of a library, so that its executions resume automatically. `#[flow]` registers every flow of the
    /// program, but the linker drops the parts of a library that the program never mentions. Naming one of its flows here is
    /// enough.
    ///
    /// Opening logs a warning if the flow is still not registered.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # mod reports {
    /// #     pub fn write_report(_: String) -> kitaru::FlowCall<Result<(), kitaru::Error>> { panic!() }
    /// # }
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// let kitaru = kitaru::Kitaru::builder().in_memory().register(reports::write_report).open().await?;
    /// # Ok(()) }
    /// ```
    pub fn register<R, Args, F: FlowFunction<FlowCall<R>, Args>>(mut self, flow: F) -> Self {
        // Used briefly, so that the linker keeps it.
        std::hint::black_box(flow);
        self.names(std::any::type_name::<F>());
        self
    }
}
