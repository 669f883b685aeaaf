//! From a profile to an agent.
//!
//! Owns which model answers. Must not know the agent's prompts, nor that its runs are recorded.

use std::{env, sync::Arc};

use kitaru::agent::{Agent, Model, OpenAi};

use super::{profile::Profile, scripted::Scripted, tools::build_tools};

/// The agent that `profile` describes, on the model that the environment selects.
///
/// # Errors
///
/// A tool that does not exist, or a model that is not configured correctly.
pub(crate) fn build_agent(profile: &Profile) -> anyhow::Result<Agent> {
    build_agent_on(build_model(profile)?, profile)
}

/// The agent that `profile` describes, on `model`.
pub(crate) fn build_agent_on(model: Arc<dyn Model>, profile: &Profile) -> anyhow::Result<Agent> {
    let agent = Agent::builder(model)
        .name(&profile.name)
        .instructions(&profile.system_prompt)
        .tools(build_tools(&profile.allowed_tools)?)
        .build()?;
    Ok(agent)
}

/// One line for the screen: which model will answer.
pub(crate) fn which_model(profile: &Profile) -> String {
    if has_key() {
        format!("Model: {}, over HTTP.", model_name(profile))
    } else {
        "Model: scripted. There is no OPENAI_API_KEY, so a script that ships with this example stands in for a model; \
         the commands it runs are real, and it answers from what they print."
            .to_owned()
    }
}

fn build_model(profile: &Profile) -> anyhow::Result<Arc<dyn Model>> {
    if has_key() {
        Ok(Arc::new(OpenAi::builder_from_env()?.model(model_name(profile)).build()?))
    } else {
        Ok(Arc::new(Scripted))
    }
}

fn model_name(profile: &Profile) -> String {
    env::var("OPENAI_MODEL").ok().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| profile.model.clone())
}

fn has_key() -> bool {
    env::var("OPENAI_API_KEY").is_ok_and(|key| !key.trim().is_empty())
}
