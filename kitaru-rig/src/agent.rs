//! A rig agent taken apart, so that records can answer the requests of its runs.
//!
//! Owns which handler replaces which model and tool. Must not know what a run is, nor a record.

use rig_agent::agent::AgentParts;
use rig_agent::bus::{Dispatcher, Registrar};
use rig_agent::tool::ToolSet;
use rig_agent::{Agent, ModelRef};
use rig_core::effect::{FamilyDescriptor, HandlerKey, model_key};

use crate::answers::{Answering, Answers};
use crate::bus::Bus;

/// An agent whose default model returns answers that were found before the request.
pub(crate) struct PreparedAgent {
    pub(crate) agent: Agent,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) bus: Bus,
    pub(crate) answers: Answers,
    pub(crate) default_model: AskedModel,
    registrar: Registrar,
    /// A model without a label exists as long as an agent has it.
    _original: Agent,
}

/// A model as it is requested: the key of its handler, and the label that replaces it.
#[derive(Clone)]
pub(crate) struct AskedModel {
    pub(crate) key: HandlerKey,
    pub(crate) label: ModelRef,
}

impl PreparedAgent {
    /// # Errors
    ///
    /// Why the agent cannot be taken apart, and what to do.
    pub(crate) fn new(agent: Agent) -> Result<Self, String> {
        let AgentParts { dispatcher, registrar, driver, agent: original } = agent.into_parts().map_err(|agent| {
            if agent.owns_bus() {
                "it has a clone, which shares its bus; build it for `KitaruRig::new` alone".to_owned()
            } else {
                "it was built over the bus of a host, which serves it; build it with a model of its own".to_owned()
            }
        })?;
        let answers = Answers::default();
        let key = original.model_key().raw().clone();
        let described = original.model_descriptor().map(|descriptor| descriptor.family);
        let Some((family, label)) = described.and_then(completion) else {
            return Err(format!("its model `{key}` has no handler; register one before the agent is wrapped"));
        };
        let agent = original.clone().with_model_label(answering(&label));
        let answering = agent.model_key().raw().clone();
        registrar
            .register(answering.clone(), answers.handler(answering, family))
            .map_err(|report| format!("its model could not be replaced: {report}"))?;
        let default_model = AskedModel { key, label };
        Ok(PreparedAgent {
            agent,
            dispatcher,
            bus: Bus::new(driver),
            answers,
            default_model,
            registrar,
            _original: original,
        })
    }

    /// The model that a hook has chosen by `label`, and the label of its replacement. `None` if there is no such model.
    pub(crate) fn route(&self, label: &ModelRef) -> Option<(AskedModel, ModelRef)> {
        let key_of =
            |label: &ModelRef| HandlerKey::from(format!("{}/{}", self.agent.owner(), model_key(label.as_str())));
        let key = key_of(label);
        let (family, _) = completion(self.registrar.descriptor(&key)?.family)?;
        let stands_in = answering(label);
        let answering = key_of(&stands_in);
        if self.registrar.descriptor(&answering).is_none() {
            self.registrar.register(answering.clone(), self.answers.handler(answering, family)).ok()?;
        }
        Some((AskedModel { key, label: label.clone() }, stands_in))
    }

    /// The present tools. An answering handler replaces each of them from now on.
    pub(crate) fn tools(&self) -> ToolSet {
        let tools = self.agent.tool_server_handle().toolset();
        for (name, tool) in tools.iter() {
            let key = tool.key().raw();
            if self.registrar.descriptor(key).is_some_and(|descriptor| Answering::is_described_by(&descriptor)) {
                continue;
            }
            let handler = self.answers.handler(key.clone(), tool.descriptor());
            if let Err(report) = self.registrar.register(key.clone(), handler) {
                // Never: a tool stays a tool. Its calls would end the run, because no handler answers them.
                tracing::error!(target: "kitaru", "tool `{name}` could not be made a checkpoint: {report}");
            }
        }
        tools
    }
}

/// The label of a model's replacement.
fn answering(label: &ModelRef) -> ModelRef {
    ModelRef::new(format!("kitaru:{label}"))
}

fn completion(family: FamilyDescriptor) -> Option<(FamilyDescriptor, ModelRef)> {
    let FamilyDescriptor::Completion { model, .. } = &family else { return None };
    let label = model.clone();
    Some((family, label))
}
