#[test]
fn big() {
    let t = std::time::Instant::now();
    let text = "hwgen: 1\nname: a\nrandom: { seed: 1 }\ninput: { shape: [134217], format: u8 }\nlayers:\n  - { name: a, op: dense, outputs: 1000, weight: s8, output: u8 }\n";
    network::Plan::parse(text, "p").unwrap().build(None).unwrap();
    println!("{:?}", t.elapsed());
}
