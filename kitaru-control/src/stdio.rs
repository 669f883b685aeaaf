//! `kitaru mcp`: a router over standard input and output. Owns those; must not know what is asked.

use kitaru_core::Error;
use rmcp::transport::io::stdio_pipes;

use crate::mcp;
use crate::router::Router;

/// Serves the tools of a router to an assistant, by MCP over the standard input and output of this process, until the input ends.
/// Nothing else may be written to the standard output. The assistant has started the process, and so needs no token.
///
/// The tools only show, unless [`Router::allow_actions`] and [`Router::allow_assistants_to_act`] are called.
///
/// # Errors
///
/// When what arrives is not MCP.
///
/// # Cancel safety
///
/// An action that was submitted to the store is durable although the answer is lost.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), kitaru::Error> {
/// kitaru_control::serve_stdio(kitaru_control::folder(".kitaru")).await
/// # }
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "mcp")))]
pub async fn serve_stdio(router: Router) -> Result<(), Error> {
    let (ask, acts) = router.for_own_assistant();
    let (input, output) = stdio_pipes();
    let served = mcp::serve(ask, acts, input, output).await;
    served.map_err(|why| {
        Error::msg(format!("cannot serve MCP: {why}; start this command as an MCP server of an assistant"))
    })
}
