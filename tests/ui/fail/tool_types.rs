//! The requirements of a tool on its types, each reported at the type.

use kitaru::tool;

struct Opaque;

/// Gives what no model can read.
#[tool]
async fn value(city: String) -> Opaque {
    drop(city);
    Opaque
}

/// Gives it in a result.
#[tool]
async fn value_in_result(city: String) -> std::io::Result<Opaque> {
    drop(city);
    Ok(Opaque)
}

/// Its error type is not an error.
#[tool]
async fn error_in_result(city: String) -> Result<String, u32> {
    Ok(city)
}

fn main() {}
