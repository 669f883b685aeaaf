//! The errors of `#[tool]` for functions that cannot be a tool.

use kitaru::agent::RunContext;
use kitaru::tool;

#[tool]
async fn undescribed(city: String) -> String {
    city
}

/// Is not async.
#[tool]
fn not_async(city: String) -> String {
    city
}

struct Weather;

impl Weather {
    /// Is a method.
    #[tool]
    async fn method(&self, city: String) -> String {
        city
    }
}

/// Is generic.
#[tool]
async fn generic<T: Send>(value: T) -> String {
    drop(value);
    String::new()
}

/// Takes what has no one schema.
#[tool]
async fn implied(value: impl ToString) -> String {
    value.to_string()
}

/// Borrows.
#[tool]
async fn borrowing(city: &str) -> String {
    city.to_owned()
}

/// Takes its arguments apart.
#[tool]
async fn pattern((a, b): (u8, u8)) -> u8 {
    a + b
}

/// Takes the context last.
#[tool]
async fn context_last(city: String, context: &RunContext) -> String {
    drop(context.prompt.clone());
    city
}

/// Gives what has no name.
#[tool]
async fn unnamed(city: String) -> impl serde::Serialize {
    city
}

/// Has options that are none.
#[tool(nam = "city", name = "say it")]
async fn options(city: String) -> String {
    city
}

/// Is a checkpoint too.
#[tool]
#[kitaru::checkpoint]
async fn both(city: String) -> String {
    city
}

/// Has a name that no provider takes.
#[tool]
async fn größe(city: String) -> String {
    city
}

#[tool]
struct NoFunction;

fn main() {
    let _ = (undescribed(), not_async(), generic(), implied(), borrowing(), pattern(), context_last(), unnamed());
    let _ = (options(), both(), größe());
}
