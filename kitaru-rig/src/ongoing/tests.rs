//! What a run leaves behind.

use rig_agent::AgentBuilder;
use rig_core::test_utils::MockCompletionModel;
use rig_core::tool::{ToolOutput, ToolResult};

use super::*;

/// A run of an agent that sends no request.
fn idle() -> Arc<Ongoing> {
    let agent = AgentBuilder::new(MockCompletionModel::text("nothing")).name("idle").build();
    Ongoing::new(Recording {
        taken: Arc::new(PreparedAgent::new(agent).unwrap()),
        name: "idle".to_owned(),
        version: String::new(),
        patience: Patience::Usual,
        tools: BTreeMap::new(),
        listener: None,
        paid: Counter::default(),
    })
}

fn answer() -> Answer {
    let result = ToolResult::success(ToolOutput::text("done"));
    Answer { outcome: Ok(Outcome::ToolResult { result }), published: None }
}

#[test]
fn dropped_run_leaves_no_answers_and_those_of_others_stay() {
    let run = idle();
    let answers = run.recording.taken.answers.clone();
    let [fetched, left, of_another] = [1, 2, 3].map(EffectId::from_raw);
    run.give(fetched, answer());
    run.give(left, answer());
    answers.give(of_another, answer());
    assert!(answers.take(fetched).is_some());
    drop(run);
    assert!(answers.take(left).is_none(), "no run fetches it any more");
    assert!(answers.take(of_another).is_some());
}
