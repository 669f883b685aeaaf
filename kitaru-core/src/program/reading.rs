//! An input that is given as JSON. Owns the forms of such JSON; must not know who gives it.

use serde_json::Value;

use crate::error::{Error, Kind, cannot};
use crate::program::{FlowMeta, GivenInput, RequestInput};
use crate::shown::short;

impl FlowMeta {
    /// Reads an input that is given as JSON: the list of all arguments, or an object with their names.
    ///
    /// # Errors
    ///
    /// When it does not fit the flow.
    pub(crate) fn read_input(&self, given: Value) -> Result<RequestInput, Error> {
        let Some(read) = self.read else {
            let flow = short(self.name);
            return Err(cannot!(
                Kind::Misuse,
                "read the input of flow `{flow}`",
                "its macro is of an earlier version",
                "build it with this one"
            ));
        };
        let arguments = self.listed(given)?;
        let json = serde_json::to_vec(&arguments).map_err(|why| self.misfit(&why.to_string()))?;
        read(GivenInput { flow: self.name, json: &json }).0
    }

    /// The arguments as the list that is recorded.
    fn listed(&self, given: Value) -> Result<Value, Error> {
        let names = self.arguments;
        match given {
            // A list of nothing is written as nothing.
            Value::Null if names.is_empty() => Ok(Value::Null),
            Value::Array(list) if list.len() == names.len() => {
                Ok(if names.is_empty() { Value::Null } else { Value::Array(list) })
            }
            Value::Array(list) => Err(self.misfit(&format!("it has {} arguments", list.len()))),
            Value::Object(mut named) => {
                if let Some(unknown) = named.keys().find(|name| !names.contains(&name.as_str())) {
                    return Err(self.misfit(&format!("it has no argument `{}`", short(unknown))));
                }
                let list: Vec<Value> = names.iter().map(|name| named.remove(*name).unwrap_or_default()).collect();
                Ok(if names.is_empty() { Value::Null } else { Value::Array(list) })
            }
            _ => Err(self.misfit("it is neither a list nor an object")),
        }
    }

    fn misfit(&self, why: &str) -> Error {
        let flow = short(self.name);
        let names: Vec<_> = self.arguments.iter().map(|name| format!("`{}`", short(name))).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        cannot!(
            Kind::Unreadable,
            "read the input of flow `{flow}`",
            "{why}",
            "give a list or an object of its arguments: {names}"
        )
    }
}
