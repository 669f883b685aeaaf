//! The functions that the attributes accept, and the messages for the others.

#[test]
fn the_attributes_accept_every_ordinary_function_and_explain_what_they_refuse() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
