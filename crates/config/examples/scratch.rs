//! scratch
#[path = "../tests/config/sample.rs"]
mod sample;
fn main() {
    let cases: Vec<(String, String, std::collections::HashMap<String, String>)> = serde_json::from_reader(std::io::stdin()).unwrap();
    let out: Vec<String> = cases.into_iter().map(|(_, text, env)| {
        let loaded = portcullis_config::load_text::<sample::Root>("gate.yaml", &text, &portcullis_core::ConfigFolder::new("/nowhere"), &|n| env.get(n).cloned());
        portcullis_config::report::text(&loaded.document, &loaded.problems, false)
    }).collect();
    serde_json::to_writer(std::io::stdout(), &out).unwrap();
}
