//! The control API of Kitaru: see executions and steer them, from a command, a page or a program.
//!
//! [`router`] gives the API of an open store as a service, for your own server. [`serve_unix`] and [`serve_tcp`] serve it
//! themselves. [`Client`] asks it. All answers are JSON; an error is `application/problem+json` with the hint that the library
//! gives. The routes are in `openapi.json` of this crate.
//!
//! # Who may ask
//!
//! A Unix socket answers the user who opened the store, and root. Everything else needs a token, and the names of the hosts
//! that it answers to. A router does not act unless [`Router::allow_actions`] is called.
//!
//! # Examples
//!
//! ```
//! use kitaru_control::{Client, serve_unix};
//! use kitaru::Kitaru;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kitaru = Kitaru::builder().in_memory().open().await?;
//! let dir = tempfile::tempdir()?;
//! let socket = dir.path().join("control.sock");
//!
//! let server = serve_unix(&kitaru, &socket)?;
//! let page = Client::unix(&socket).executions(&Default::default()).await?;
//! assert!(page.executions.is_empty());
//!
//! drop(server);
//! kitaru.close().await?;
//! # Ok(())
//! # }
//! ```

#![cfg(unix)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod actor;
pub mod api;
mod assistant;
mod body;
mod client;
mod endpoints;
mod folder;
mod live;
#[cfg(feature = "logs")]
mod logs;
#[cfg(not(feature = "logs"))]
#[path = "logs/absent.rs"]
mod logs;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(not(feature = "mcp"))]
#[path = "mcp/absent.rs"]
mod mcp;
#[cfg(test)]
mod openapi;
mod pages;
mod place;
mod problem;
mod query;
mod router;
mod routes;
mod serve;
#[cfg(feature = "mcp")]
mod stdio;
pub mod text;

pub use body::{Body, BodyError};
pub use client::{Client, ClientError};
#[cfg(feature = "logs")]
pub use logs::{log_layer, log_layer_at};
pub use router::{Router, folder, router};
pub use serve::{Server, serve_tcp, serve_unix};
#[cfg(feature = "mcp")]
pub use stdio::serve_stdio;

/// The routes and the shapes of this version, as OpenAPI 3.1 JSON.
pub const OPENAPI: &str = include_str!("../openapi.json");
