//! The file `openapi.json`, made of the routes and of the types of the API. `KITARU_BLESS=1 cargo test -p kitaru-control openapi`
//! writes it.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::api;
use crate::routes::{Endpoint, ROUTES};

/// A parameter: its name, its type, and what it means.
type Parameter = (&'static str, &'static str, &'static str);

/// What an endpoint is for, what it takes and what it gives.
struct Described {
    summary: &'static str,
    query: &'static [Parameter],
    takes: Option<Value>,
    gives: Value,
}

const GENERATION: Parameter = ("generation", "integer", "Of this generation; the newest unless set.");

fn described(endpoint: Endpoint, shapes: &mut SchemaGenerator) -> Described {
    let done = |shapes: &mut SchemaGenerator| shapes.subschema_for::<api::Done>().to_value();
    let (summary, query, takes, gives): (_, &'static [Parameter], Option<Value>, Value) = match endpoint {
        Endpoint::Status => {
            ("Which process holds the store", &[], None, shapes.subschema_for::<api::Status>().to_value())
        }
        Endpoint::List => (
            "Executions, newest first",
            &[
                ("flow", "string", "Only this flow."),
                ("id_prefix", "string", "Only ids that begin with this."),
                ("status", "string", "Only this status; may be repeated for alternatives."),
                ("tag", "string", "Only executions with this tag; may be repeated for all of them."),
                ("parent", "string", "Only children of this execution, as flow/id."),
                ("created_from_ms", "integer", "Only executions that were created at this time or later."),
                ("created_before_ms", "integer", "Only executions that were created before this time."),
                (
                    "q",
                    "string",
                    "Only executions whose id begins with this word, that have it as flow or tag, or in their error.",
                ),
                ("cursor", "string", "Continues behind the page that gave this."),
                ("limit", "integer", "How many executions, 1 to 1,000; 100 unless set."),
            ],
            None,
            shapes.subschema_for::<api::Page>().to_value(),
        ),
        Endpoint::Waits => ("Open questions, oldest first", &[], None, shapes.subschema_for::<api::Waits>().to_value()),
        Endpoint::Show => (
            "One execution, without its records",
            &[GENERATION],
            None,
            shapes.subschema_for::<api::Execution>().to_value(),
        ),
        Endpoint::Records => (
            "Records of an execution, in the order in which they were written",
            &[
                GENERATION,
                ("after", "integer", "Only records behind this number."),
                ("limit", "integer", "How many records, 1 to 1,000; 100 unless set."),
            ],
            None,
            shapes.subschema_for::<api::Records>().to_value(),
        ),
        Endpoint::Export => ("The history of an execution, for a test", &[], None, json!({ "type": "object" })),
        Endpoint::Logs => (
            "What the program has logged in an execution, oldest first",
            &[
                ("after", "integer", "Only events behind this number."),
                (
                    "level",
                    "string",
                    "Only events of this level, and more severe ones: error, warn, info, debug, trace.",
                ),
                ("limit", "integer", "How many events, 1 to 1,000; 1,000 unless set."),
            ],
            None,
            shapes.subschema_for::<api::Logs>().to_value(),
        ),
        Endpoint::Answer => {
            ("Answers an open question", &[], Some(shapes.subschema_for::<api::Answer>().to_value()), done(shapes))
        }
        Endpoint::Signal => {
            ("Sends a signal", &[], Some(shapes.subschema_for::<api::Signal>().to_value()), done(shapes))
        }
        Endpoint::Cancel => {
            ("Cancels an execution", &[], Some(shapes.subschema_for::<api::Cancel>().to_value()), done(shapes))
        }
        Endpoint::Resume => {
            ("Resumes an execution", &[], Some(shapes.subschema_for::<api::Resume>().to_value()), done(shapes))
        }
        Endpoint::Delete => (
            "Deletes an execution that has ended",
            &[],
            Some(shapes.subschema_for::<api::Delete>().to_value()),
            done(shapes),
        ),
        Endpoint::Gc => (
            "Deletes executions whose retention is over",
            &[],
            Some(shapes.subschema_for::<api::Gc>().to_value()),
            shapes.subschema_for::<api::Collected>().to_value(),
        ),
        Endpoint::Audit => {
            ("Who deleted what, the oldest first", &[], None, shapes.subschema_for::<api::Audit>().to_value())
        }
        Endpoint::Checkup => {
            ("What a look at every row finds", &[], None, shapes.subschema_for::<api::Checkup>().to_value())
        }
        Endpoint::Backup => (
            "Writes a backup to a file; over a Unix socket only",
            &[],
            Some(shapes.subschema_for::<api::BackUp>().to_value()),
            shapes.subschema_for::<api::Backup>().to_value(),
        ),
        Endpoint::Fork => (
            "Begins a new execution with records of this one",
            &[],
            Some(shapes.subschema_for::<api::Fork>().to_value()),
            shapes.subschema_for::<api::Forked>().to_value(),
        ),
        Endpoint::Diff => (
            "Compares an execution with another one, record by record",
            &[("with", "string", "The other execution, as flow/id.")],
            None,
            shapes.subschema_for::<api::Diff>().to_value(),
        ),
        Endpoint::CancelMany => {
            let takes = shapes.subschema_for::<api::CancelMany>().to_value();
            ("Cancels the executions of a page", &[], Some(takes), shapes.subschema_for::<api::ManyDone>().to_value())
        }
        Endpoint::ResumeMany => {
            let takes = shapes.subschema_for::<api::ResumeMany>().to_value();
            ("Resumes the executions of a page", &[], Some(takes), shapes.subschema_for::<api::ManyDone>().to_value())
        }
        Endpoint::Stats => {
            ("The store and its process in numbers", &[], None, shapes.subschema_for::<api::Stats>().to_value())
        }
        Endpoint::Metrics => ("The same as Prometheus text", &[], None, json!({ "type": "string" })),
    };
    Described { summary, query, takes, gives }
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut shapes = settings.into_generator();
    let problem = shapes.subschema_for::<api::Problem>().to_value();
    let mut paths = serde_json::Map::new();
    for route in ROUTES {
        let Described { summary, query, takes, gives } = described(route.endpoint, &mut shapes);
        let named = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<_> = named
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        parameters.extend(query.iter().map(|(name, kind, what)| {
            json!({ "name": name, "in": "query", "description": what, "schema": { "type": kind } })
        }));
        let media_type = route.endpoint.media_type();
        let mut operation = json!({
            "summary": summary,
            "operationId": format!("{:?}", route.endpoint).to_lowercase(),
            "parameters": parameters,
            "responses": {
                "200": { "description": "Done", "content": { (media_type): { "schema": gives } } },
                "default": {
                    "description": "Why it was not done",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        });
        if let Some(takes) = takes {
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": takes } } });
        }
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kitaru control API",
            "version": "1",
            "description": "See executions and steer them. Times are milliseconds since 1970.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": shapes.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

#[test]
fn openapi_file_is_that_of_the_routes_and_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let document = document();
    if std::env::var_os("KITARU_BLESS").is_some() {
        std::fs::write(file, format!("{document:#}\n")).unwrap();
    }
    // As JSON: the order of fields depends on what else is built.
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(document == kept, "openapi.json differs; `KITARU_BLESS=1 cargo test -p kitaru-control openapi` writes it");
}
