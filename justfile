# The commands that people use here. `just check` runs what CI runs.

# What CI runs.
check:
    bash .ci/run

# The tests, faster, for work in between. Doctests run apart.
test:
    cargo nextest run --workspace
    cargo test --workspace --doc

# The figures of docs/performance.md.
bench:
    cargo bench --bench figures

# The agent of stage 1, on its scripted model unless OPENAI_API_KEY is set.
agent:
    cargo run --example stage_1_basic_agent
