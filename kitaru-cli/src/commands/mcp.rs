//! `kitaru mcp`.

use std::path::Path;

use kitaru_control::{folder, serve_stdio};

use crate::failure::Failure;

/// Serves until the input ends. A store that is not there is an error of each call, and not of this command: the assistant starts
/// the command once, and the program may start later.
pub(crate) async fn run(dir: &Path, allow_write: bool) -> Result<(), Failure> {
    let mut router = folder(dir);
    if allow_write {
        router = router.allow_actions().allow_assistants_to_act();
    }
    serve_stdio(router).await.map_err(|error| Failure::Failed(format!("{error:#}")))
}
