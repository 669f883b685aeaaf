//! The form that forks an execution.

use maud::{Markup, html};

use crate::api::{self, Records};
use crate::problem::Problem;

/// The form on the page of the execution `of`.
pub(super) fn form(of: &str, records: &Records) -> Markup {
    html! {
        details #fork {
            summary { "Fork" }
            form.card method="post" action={ (of) "/fork" } {
                p.faint { "A new execution with records of this one, which stays as it is. What it runs again has its effects again, with new idempotency keys." }
                datalist #names { @for record in &records.records { option value=(record.name) {} } }
                label for="fork-from" { "From: this record and all behind it run again" }
                input #fork-from type="text" name="from" list="names";
                label for="fork-set" { "Set the value of the record" }
                input #fork-set type="text" name="set" list="names";
                label for="fork-value" { "to (JSON, or a text)" }
                textarea #fork-value name="value" rows="3" {}
                label { input type="checkbox" name="by_key"; " By key: all records answer calls with equal arguments" }
                label { input type="checkbox" name="forget_answers"; " Ask people again" }
                button.main type="submit" { "Fork" }
            }
        }
    }
}

/// What was filled in.
pub(super) fn read(fields: &[(String, String)]) -> Result<api::Fork, Problem> {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let filled = |name: &str| field(name).map(str::trim).filter(|value| !value.is_empty());
    let value = filled("value");
    let set = match (filled("set"), value) {
        (Some(record), Some(text)) => {
            let value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
            [(record.to_owned(), value)].into()
        }
        (None, None) => Default::default(),
        _ => return Err(Problem::misuse("cannot fork the execution: a record or its value is missing; fill in both")),
    };
    Ok(api::Fork {
        from: filled("from").map(str::to_owned),
        set,
        by_key: field("by_key").is_some(),
        forget_answers: field("forget_answers").is_some(),
        ..Default::default()
    })
}
