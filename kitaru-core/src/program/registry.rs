//! The flows of the program, by name. Owns the list that the macro fills; must not know its readers.

use std::collections::HashMap;

use crate::error::{Error, Kind, cannot};
use crate::program::FlowMeta;
use crate::shown::short;

/// A flow that the macro added to the list.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registered(pub &'static FlowMeta);

inventory::collect!(Registered);

/// The flow of this name, if the program has one.
pub(crate) fn find(name: &str) -> Option<&'static FlowMeta> {
    inventory::iter::<Registered>.into_iter().map(|Registered(flow)| *flow).find(|flow| flow.name == name)
}

/// Whether the function of this path, as `std::any::type_name` gives it, is on the list.
pub(crate) fn has_function(path: &str) -> bool {
    let path = path.replace("r#", "");
    let is_it = |flow: &FlowMeta| {
        let module = path.strip_suffix(flow.function).and_then(|path| path.strip_suffix("::"));
        module.is_some_and(|module| module == flow.module.replace("r#", ""))
    };
    inventory::iter::<Registered>.into_iter().any(|Registered(flow)| is_it(flow))
}

/// Refuses a program in which two flows have the same name: they would continue each other's executions.
pub(crate) fn check_names() -> Result<(), Error> {
    let mut known: HashMap<&str, &FlowMeta> = HashMap::new();
    for Registered(flow) in inventory::iter::<Registered> {
        let Some(other) = known.insert(flow.name, flow) else { continue };
        if (other.file, other.line, other.module) != (flow.file, flow.line, flow.module) {
            return Err({
                let name = short(flow.name);
                let [first, second] =
                    [other, flow].map(|flow| format!("{}:{} ({})", flow.file, flow.line, flow.module));
                cannot!(
                    Kind::Misuse,
                    "open a store",
                    "two flows have the name `{name}`: {first} and {second}",
                    "rename one with #[flow(name = \"…\")]"
                )
            });
        }
    }
    Ok(())
}
