//! How a flow's function begins from recorded input. Must not know where executions are kept.

mod function;
#[doc(hidden)]
pub mod unrepeatable;

use std::borrow::Cow;
use std::future::Future;

use crate::call::bounds::Recordable;
use crate::call::probe::{ArgumentsBySerde, Lost, OfArguments};
use crate::call::{Outcome, Packing, Whose};
use crate::error::{Kind, cannot};
use crate::journal::Packed;
use crate::program::{Begun, FlowInput, GivenInput, ReadInput, RequestInput};
use crate::shown::short;
use crate::value::{ArgSink, Codec, CodecWish, DecodeError, EncodeError, Encoded, Sensitivity, decode, encode};

pub use function::FlowFunction;

/// Begins a flow's function with its recorded input.
#[doc(hidden)]
pub fn begin<A, R, I, C, Fut>(input: FlowInput<'_>, _: I, _: C, run: impl FnOnce(A) -> Fut) -> Begun
where
    R: 'static,
    I: Input<A>,
    C: Outcome<R>,
    Fut: Future<Output = R> + Send + 'static,
{
    let args = match I::read(&input) {
        Ok(args) => args,
        Err(why) => {
            return Begun(Err({
                let flow = short(input.flow);
                cannot!(
                    Kind::Stuck,
                    "read the recorded input of flow `{flow}`",
                    "{why}",
                    "run the code that recorded it, or use .fresh()"
                )
            }));
        }
    };
    let flow = run(args);
    Begun(Ok(Box::pin(pack_flow::<R, C>(input.flow.into(), flow, input.limit))))
}

/// Reads an input that is given as JSON. Written by the macro.
#[doc(hidden)]
pub fn read_input<A, I: Input<A>>(given: GivenInput<'_>, _: I, describe: fn(&A, &mut ArgSink<'_>)) -> ReadInput {
    let GivenInput { flow, json } = given;
    let read = I::read(&FlowInput { flow, codec: Codec::Json, shape: 0, bytes: json, limit: usize::MAX });
    ReadInput(match read {
        Ok(args) => RequestInput::new(flow, I::write(&args), |sink| describe(&args, sink)),
        Err(why) => Err({
            let flow = short(flow);
            cannot!(Kind::Unreadable, "read the input of flow `{flow}`", "{why}", "give the arguments that it takes")
        }),
    })
}

/// Runs a flow's future and packs its result.
pub(crate) async fn pack_flow<R, C: Outcome<R>>(
    name: Cow<'static, str>,
    flow: impl Future<Output = R>,
    limit: usize,
) -> Packed {
    let result = flow.await;
    let whose = Whose::Flow(&name);
    let packing = Packing { whose, sensitivity: Sensitivity::Shown, wish: CodecWish::Bincode, limit, unsteady: None };
    C::pack(result, &packing).packed
}

/// How a flow's arguments are kept. Chosen by the macro; not part of the public interface.
#[doc(hidden)]
#[allow(missing_docs, private_interfaces)]
pub trait Input<A>: 'static {
    fn write(args: &A) -> Result<Encoded, EncodeError>;
    fn read(input: &FlowInput<'_>) -> Result<A, DecodeError>;
}

#[allow(private_interfaces)]
impl<A: Recordable> Input<A> for ArgumentsBySerde {
    fn write(args: &A) -> Result<Encoded, EncodeError> {
        // The bound is that of the store, which is known when the flow is launched.
        encode(args, CodecWish::Bincode, usize::MAX).map(|(encoded, _)| encoded)
    }

    fn read(input: &FlowInput<'_>) -> Result<A, DecodeError> {
        decode(input.codec, input.shape, input.bytes)
    }
}

#[allow(private_interfaces)]
impl<A> Input<A> for Lost<OfArguments> {
    fn write(_: &A) -> Result<Encoded, EncodeError> {
        unreachable!("no program with such an argument compiles")
    }

    fn read(_: &FlowInput<'_>) -> Result<A, DecodeError> {
        unreachable!("no program with such an argument compiles")
    }
}
