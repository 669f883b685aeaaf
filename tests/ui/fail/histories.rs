//! `histories!` takes a folder of histories and how their names end.

kitaru::testkit::histories!("tests/histories");
kitaru::testkit::histories!("tests/*/kept.json");
kitaru::testkit::histories!("tests/histories/*.json", "more");

fn main() {}
