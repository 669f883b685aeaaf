//! Naming the flows of a library.

use crate::client::builder::KitaruBuilder;
use crate::client::flow_call::FlowCall;
use crate::flow::FlowFunction;

impl KitaruBuilder {
    /// Names a flow that is to go on by itself. `#[flow]` puts every flow of the program on the list, but of a library that
    /// a program does not mention anywhere the linker takes nothing: to name one of its flows here is to mention it.
    ///
    /// Opening warns if the flow is not on the list all the same.
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
        // Held for a moment, so that nothing leaves it out.
        std::hint::black_box(flow);
        self.names(std::any::type_name::<F>());
        self
    }
}
