//! The files that a prompt names.
//!
//! Owns how they are read: on a thread that may wait for a disk. Must not know who records them.

use std::fs;

use crate::error::ToolError;
use crate::message::{Media, Message, map_media_in, media_in};

/// The media, with the content of its file. Media of any other source stays as it is.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) async fn read(media: &Media) -> Result<Media, ToolError> {
    let Some(path) = media.path().map(str::to_owned) else { return Ok(media.clone()) };
    let failed = |why: String| {
        ToolError::failed(format!("cannot read the file `{}`: {why}; check the path", media.path().unwrap_or_default()))
    };
    let reading = tokio::task::spawn_blocking(move || fs::read(path));
    match reading.await {
        Ok(Ok(bytes)) => Ok(media.with_bytes(bytes.into())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Reads every file that messages name.
///
/// # Errors
///
/// If one of them cannot be read.
pub(crate) async fn read_all(messages: &mut [Message]) -> Result<(), ToolError> {
    let named: Vec<Media> = media_in(messages).filter(|media| media.path().is_some()).cloned().collect();
    for media in named {
        let content = read(&media).await?;
        map_media_in(messages, |other| if *other == media { content.clone() } else { other.clone() });
    }
    Ok(())
}
