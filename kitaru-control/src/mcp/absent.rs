//! What stands for the tools of assistants in a build without the feature `mcp`.

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::assistant::Ask;
use crate::body::Body;
use crate::problem::Problem;

pub(crate) async fn answer(_: Ask, _: bool, _: &Parts, _: Bytes) -> Result<Response<Body>, Problem> {
    Err(Problem::not_found(
        "cannot serve MCP: this server lacks it; build `kitaru-control` with the feature `mcp`, or use `kitaru serve`",
    ))
}
