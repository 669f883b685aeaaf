//! A model for users without a key.
//!
//! Owns a script instead of a model. Must not know the answers: it runs real commands, and repeats their output.

use async_trait::async_trait;
use kitaru::agent::{Message, Model, ModelError, ModelRequest, ModelResponse, ResponsePart, ToolCall};

use super::exec::ExecOutput;

/// What the script looks up: the label of a finding, and the command.
const LOOK_UP: [(&str, &str); 4] = [
    ("Operating system", r#"(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME") || uname -s"#),
    ("Kernel version", "uname -r"),
    ("Current user", "id -un"),
    (
        "Number of processes",
        "if command -v ps >/dev/null; then ps -A -o pid= | wc -l; else ls -d /proc/[0-9]* | wc -l; fi",
    ),
];

/// A model that is a script. If the prompt contains a finding, it sums it up. Otherwise it looks things up with `exec`, and
/// makes a finding of the output.
pub(crate) struct Scripted;

#[async_trait]
impl Model for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        if let Some(finding) = finding_in(request) {
            return Ok(ModelResponse::text(summary(&finding)));
        }
        if !request.tools.iter().any(|tool| tool.name == "exec") {
            return Ok(ModelResponse::text("I cannot look: the tool `exec` is not among mine."));
        }
        let outputs = request.tool_returns();
        if outputs.is_empty() {
            return Ok(look_up(request.messages.len()));
        }
        let mut finding = "This is what the commands printed:".to_owned();
        for ((label, _), output) in LOOK_UP.iter().zip(outputs) {
            finding.push_str(&format!("\n- {label}: {}", said(&output.content)));
        }
        Ok(ModelResponse::text(finding))
    }
}

/// One command for each thing to look up, all concurrently.
fn look_up(so_far: usize) -> ModelResponse {
    let call = |(n, (_, command)): (usize, &(&str, &str))| {
        let arguments = serde_json::json!({ "command": command }).to_string();
        ResponsePart::ToolCall(ToolCall::new(format!("call_{so_far}_{n}"), "exec", arguments))
    };
    ModelResponse::new(LOOK_UP.iter().enumerate().map(call).collect())
}

/// The output of a command, or why there is none.
fn said(output: &str) -> String {
    match serde_json::from_str::<ExecOutput>(output) {
        Ok(output) if output.timed_out => "unknown (the command was killed for its time)".to_owned(),
        Ok(ExecOutput { exit_code: Some(0), stdout, .. }) if !stdout.trim().is_empty() => stdout.trim().to_owned(),
        Ok(output) => format!("unknown ({})", output.stderr.trim()),
        Err(_) => output.trim().to_owned(),
    }
}

/// The finding of an earlier turn, in the order of [`LOOK_UP`]: from the prompt, or from the messages before it.
fn finding_in(request: &ModelRequest) -> Option<Vec<String>> {
    let earlier = request.messages.iter().rev().filter_map(|message| match message {
        Message::Response(response) => Some(response.output()),
        _ => None,
    });
    let prompt = request.prompt()?;
    let wants_summary = prompt.to_lowercase().contains("summar");
    read_finding(prompt).or_else(|| earlier.take_while(|_| wants_summary).find_map(|text| read_finding(&text)))
}

fn read_finding(text: &str) -> Option<Vec<String>> {
    let find = |(label, _): &(&str, &str)| {
        let start = format!("- {label}: ");
        text.lines().find_map(|line| line.trim().strip_prefix(&start).map(str::to_owned))
    };
    LOOK_UP.iter().map(find).collect()
}

fn summary(finding: &[String]) -> String {
    let [system, kernel, user, processes] = finding else { return finding.join("; ") };
    format!(
        "This machine runs {system} on kernel {kernel}. The commands were run by the user {user}, and {processes} \
         processes were running at that moment."
    )
}
