//! The parts that the tests of killed agents share: a server, the wire to it, and the traces of a program. `llmock`
//! logs its requests, the tools note their effects, and the store has the records.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kitaru::{Execution, Kitaru, Record, RecordStatus};
use serde_json::{Value, json};

use super::llmock::LlMock;
use super::program::DEATH_US;
use super::wire::{Hold, Wire};
use crate::process::{Process, command, folder, start};
use crate::{copied, noted};

/// The tool calls of each answer that has some: equal calls in one answer, and again in another answer of the same turn.
pub(crate) const CALLS: [&[(&str, &str)]; 3] = [
    &[("weather", "Brest"), ("weather", "Kyoto"), ("weather", "Brest")],
    &[("weather", "Kyoto"), ("tide", "Brest")],
    &[("tide", "Kobe"), ("tide", "Brest")],
];
/// How many questions each turn asks.
const TURNS: [usize; 2] = [3, 2];
/// How many questions there are.
pub(crate) const QUESTIONS: usize = TURNS[0] + TURNS[1];
/// How many tool calls each turn makes.
const EFFECTS: [usize; 2] = [5, 2];

/// The model's answer, which depends on the question alone.
fn answer(question: &Value) -> Value {
    let messages = question["messages"].as_array().expect("messages");
    let is = |message: &Value, role: &str| message["role"] == role;
    let turn = messages.iter().filter(|message| is(message, "user")).count();
    let given = messages.iter().rev().take_while(|message| !is(message, "user")).filter(|message| is(message, "tool"));
    let calls = match (turn, given.count()) {
        (1, 0) => CALLS[0],
        (1, 3) => CALLS[1],
        (2, 0) => CALLS[2],
        (1, 5) => return json!({ "type": "reply", "text": "Go to Brest." }),
        (2, 2) => return json!({ "type": "reply", "text": "Kobe is calm." }),
        (turn, given) => {
            let message = format!("unexpected request with {given} results in turn {turn}");
            return json!({ "type": "fail", "status": 400, "message": message });
        }
    };
    let calls = calls.iter().map(|(tool, place)| {
        let arguments = if *tool == "tide" { json!({ "port": place }) } else { json!({ "city": place }) };
        json!({ "name": tool, "arguments": arguments })
    });
    json!({ "type": "reply", "text": "I look.", "tool_calls": calls.collect::<Value>() })
}

/// A question without the ids of calls, which differ on each request. The called tool and arguments replace them, so that
/// mixed-up arguments show.
fn plain(mut question: Value) -> Value {
    let mut calls = Vec::new();
    for message in question["messages"].as_array_mut().expect("messages") {
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            calls.push((call["id"].take(), call["function"].clone()));
        }
        if let Some(id) = message.get_mut("tool_call_id") {
            let call = calls.iter().find(|(known, _)| known == id).expect("a call that was made");
            *id = call.1.clone();
        }
    }
    question
}

/// The fault at the nth question of a process, counted from 1, in the words of `llmock`.
pub(crate) type Trouble = Option<(usize, Value)>;

/// How a program runs. Without these fields, it runs undisturbed.
#[derive(Default)]
pub(crate) struct How<'a> {
    /// Another word of the program.
    pub(crate) word: &'a str,
    /// Where it stops by itself.
    pub(crate) stop: &'a str,
    pub(crate) hold: Option<Hold>,
    pub(crate) trouble: Trouble,
    /// When it dies by itself.
    pub(crate) dies_in: Option<Duration>,
}

/// The server, the wire to it, and the result of an undisturbed program.
pub(crate) struct House {
    server: Arc<LlMock>,
    pub(crate) wire: Wire,
    trouble: Arc<Mutex<Trouble>>,
    /// One of the programs, in words.
    pub(crate) program: String,
    expected: Told,
    /// The number of events that it received.
    pub(crate) heard: u32,
    /// The number of events of each answer on the wire.
    pub(crate) events: Vec<usize>,
}

/// The traces of a program.
#[derive(Debug, Default)]
struct Told {
    result: String,
    questions: Vec<Value>,
    recorded: Recorded,
}

/// What a store knows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Recorded {
    /// The number of questions that must not be asked again.
    pub(crate) questions: usize,
    /// The effects that must not happen again. All lists are sorted, because tool calls run concurrently.
    effects: Vec<String>,
    records: Vec<String>,
}

impl House {
    /// Starts the server, if it is installed, and lets the program run undisturbed.
    pub(crate) async fn open(program: &str) -> Option<House> {
        let server = Arc::new(LlMock::start()?);
        let trouble = Arc::new(Mutex::new(Trouble::default()));
        // The wire outlives the house, which ends its server.
        let (scripted, befalls) = (Arc::downgrade(&server), trouble.clone());
        let wire = Wire::to(server.address(), move |question| {
            let Some(scripted) = scripted.upgrade() else { return };
            let mut trouble = befalls.lock().unwrap();
            let due = match &mut *trouble {
                Some((1, _)) => trouble.take(),
                Some((questions, _)) => {
                    *questions -= 1;
                    None
                }
                None => None,
            };
            let due = due.map(|(_, trouble)| trouble);
            // A request that fails uses up no answer.
            let fails = due.as_ref().is_some_and(|trouble| trouble["type"] == "fail");
            scripted.script(due.into_iter().chain((!fails).then(|| answer(question))).collect());
        });
        let (expected, program) = (Told::default(), program.to_owned());
        let mut house = House { server, wire, trouble, program, expected, heard: 0, events: Vec::new() };
        let dir = folder();
        let process = house.begin(dir.path(), How::default());
        let (result, heard) = finished(process);
        house.heard = heard;
        house.events = house.wire.exchanges().iter().map(|exchange| exchange.events).collect();
        house.expected = Told { result, questions: house.answered(), recorded: house.recorded(dir.path()).await };
        let Told { questions, recorded, .. } = &house.expected;
        assert_eq!((recorded.questions, questions.len()), (QUESTIONS, QUESTIONS));
        assert_eq!(recorded.effects, effects(&noted(dir.path())));
        questions.iter().for_each(refuse_mixed_up_arguments);
        Some(house)
    }

    /// Whether each request and each tool call is a checkpoint.
    pub(crate) fn is_granular(&self) -> bool {
        self.program.contains("granular")
    }

    /// Starts the program, with a server that has forgotten all earlier requests.
    pub(crate) fn begin(&self, dir: &Path, how: How<'_>) -> Process {
        self.wire.begin(how.hold);
        self.server.reset();
        *self.trouble.lock().unwrap() = how.trouble;
        let mut command = command(&format!("{} {}", self.program, how.word), how.stop);
        command.env("OPENAI_BASE_URL", self.wire.base_url()).env("OPENAI_API_KEY", "sk-anything-at-all");
        command.env_remove("OPENAI_MODEL");
        command.envs(how.dies_in.map(|delay| (DEATH_US, delay.as_micros().to_string())));
        start(command, dir)
    }

    /// The questions that the server answered completely since a process began.
    fn answered(&self) -> Vec<Value> {
        self.wire.exchanges();
        let requests = self.server.requests().into_iter().filter(|request| {
            request["status"] == 200 && request["completed"] == true && request["fault"] == Value::Null
        });
        requests.map(|mut request| plain(request["body"].take())).collect()
    }

    /// The records of a store. A copy is opened, so that the next process finds the store as the killed process left it.
    async fn recorded(&self, dir: &Path) -> Recorded {
        let copy = copied(&dir.join("store"));
        let kitaru = Kitaru::builder().dir(copy.path()).recovery(kitaru::Recovery::Manual).open().await.unwrap();
        let job = kitaru.execution(("compares", "job")).await.unwrap();
        kitaru.close().await.unwrap();
        let Some(job) = job else { return Recorded::default() };
        let mut records: Vec<_> = completed(&job).map(|record| record.name().to_owned()).collect();
        records.sort();
        let (questions, mut effects) = if self.is_granular() {
            (records.iter().filter(|name| name.starts_with("guide_model_request")).count(), tools(&job))
        } else {
            let turns = records.len();
            let calls = &CALLS.concat()[..EFFECTS[..turns].iter().sum()];
            let effects = calls.iter().map(|(tool, place)| format!("{tool} {place}"));
            (TURNS[..turns].iter().sum(), effects.collect())
        };
        effects.sort();
        Recorded { questions, effects, records }
    }

    /// The traces of a killed process that found `before`: it repeated nothing that was recorded, and lost only unfinished
    /// work. `notes` are its own.
    pub(crate) async fn left(&self, dir: &Path, before: &Recorded, notes: &[String], what: &str) -> Recorded {
        let (left, asked) = (self.recorded(dir).await, self.answered());
        assert!(left.questions >= before.questions, "{what}: it had {before:?} and left {left:?}");
        let expected = self.expected.questions[before.questions..].iter();
        let told: Vec<_> = asked.iter().map(results).collect();
        let what_it_asked = format!("{what}: it found {before:?} and asked with {told:?} results of tools");
        assert!(asked.iter().eq(expected.take(asked.len())), "{what_it_asked}");
        let lost = (before.questions + asked.len()).saturating_sub(left.questions);
        let most = if self.is_granular() { 1 } else { TURNS[0] };
        assert!(lost <= most, "{what}: of {} questions it left {left:?}", asked.len());
        if self.is_granular() {
            let seen = asked.last().map_or(0, results);
            assert!(left.effects.len() >= seen, "{what}: the model saw {seen} calls, and the process left {left:?}");
        }
        // Panics if an effect that was recorded happened again.
        let open = without(&self.expected.recorded.effects, &before.effects, what);
        without(&open, &effects(notes), what);
        left
    }

    /// Runs the program to its end after a crash: everything that is not recorded runs, once.
    pub(crate) async fn goes_on(&self, dir: &Path, left: &Recorded, how: How<'_>, what: &str) {
        let before = noted(dir).len();
        let (result, _) = finished(self.begin(dir, how));
        assert_eq!(result, self.expected.result, "{what}");
        let notes = &noted(dir)[before..];
        assert_eq!(self.left(dir, left, notes, what).await, self.expected.recorded, "{what}");
        assert_eq!(self.answered().len(), QUESTIONS - left.questions, "{what}");
        let open = without(&self.expected.recorded.effects, &left.effects, what);
        assert_eq!(effects(notes), open, "{what}");
    }
}

/// The output of a process that has ended, and the number of events that it received.
fn finished(process: Process) -> (String, u32) {
    let (said, code) = process.end();
    assert_eq!(code, Some(0), "{said:?}");
    let find = |what: &str| said.iter().find_map(|line| line.strip_prefix(what)).expect("it says so");
    (find("result ").to_owned(), find("heard ").parse().expect("a number"))
}

/// The number of tool results in a question.
fn results(question: &Value) -> usize {
    let messages = question["messages"].as_array().expect("messages");
    messages.iter().filter(|message| message["role"] == "tool").count()
}

/// Each result must belong to its call.
fn refuse_mixed_up_arguments(question: &Value) {
    for told in question["messages"].as_array().unwrap() {
        let Some(call) = told.get("tool_call_id") else { continue };
        let (tool, arguments) = (call["name"].as_str().unwrap(), call["arguments"].as_str().unwrap());
        assert_eq!(told["content"], format!("the {tool} of {}", only_value(arguments)), "{call}");
    }
}

/// The value of an object with one field.
fn only_value(arguments: &str) -> String {
    let arguments: Value = serde_json::from_str(arguments).expect("JSON");
    arguments.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
}

/// The records that answer a call. An error that is not settled does not.
fn completed(job: &Execution) -> impl Iterator<Item = &Record> {
    job.records().iter().filter(|record| record.status() == RecordStatus::Completed)
}

/// The recorded tool calls, by their arguments.
fn tools(job: &Execution) -> Vec<String> {
    let calls = completed(job).filter_map(|record| {
        let tool = record.checkpoint().strip_suffix("_tool")?;
        let (_, arguments) = record.arguments().find(|(name, _)| *name == "arguments")?;
        Some(format!("{tool} {}", only_value(&serde_json::from_str::<String>(arguments).expect("a text"))))
    });
    calls.collect()
}

/// The effects of tools, from the notes.
fn effects(notes: &[String]) -> Vec<String> {
    let mut effects: Vec<_> = notes.iter().filter_map(|note| note.strip_prefix("ran ").map(str::to_owned)).collect();
    effects.sort();
    effects
}

/// `all` without `some`.
fn without(all: &[String], some: &[String], what: &str) -> Vec<String> {
    let mut left = all.to_vec();
    for gone in some {
        let at = left.iter().position(|one| one == gone);
        left.remove(at.unwrap_or_else(|| panic!("{what}: `{gone}` once more, {some:?} of {all:?}")));
    }
    left
}
