use kitaru::tool;

/// Unknown, misspelt and repeated options.
#[tool(readonly, once = true, retries = "3", timeout = 5, timeout = "5s", at_most_once, memo, requires_approval())]
async fn misspelt() {}

/// Two effects.
#[tool(read_only, idempotent)]
async fn two_effects() {}

/// One call, and another one.
#[tool(once, retries = 2)]
async fn once_again() {}

/// It is not known whether it ran.
#[tool(once, requires_approval, retries = 1, timeout = "1s", not_durable)]
async fn unrecorded() {}

fn main() {
    // They are still tools: nothing is to be added to the errors.
    let _ = (misspelt(), two_effects(), once_again(), unrecorded());
}
