//! The files that a prompt names.
//!
//! Owns how they are read: on a thread that may wait for a disk. Must not know who records them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::ToolError;
use crate::message::{Media, Message, map_media_in, media_in};

/// The most bytes of a file.
const MOST_BYTES: u64 = 32 << 20;

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
    let reading = tokio::task::spawn_blocking(move || content(Path::new(&path)));
    match reading.await {
        Ok(Ok(bytes)) => Ok(media.with_bytes(bytes.into())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The content of a regular file: to read another one may never end.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_too_large_or_not_regular_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(content(&large).unwrap_err().to_string().contains("more than 32 MiB"));
        assert!(content(dir.path()).unwrap_err().to_string().contains("not a regular file"));
        fs::write(&large, "small").unwrap();
        assert_eq!(content(&large).unwrap(), b"small");
    }
}
