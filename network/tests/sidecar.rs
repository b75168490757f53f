//! Wrong sidecar files: each class of fault has its code and stands at the key or layer of the plan it belongs to.
//! The files are put together by hand, from the description of the safetensors format.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use network::{Arrays, Code, Diagnostics, Network, Plan};

/// A safetensors file: length of the header, header, data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Name, type, shape and data of an array.
type Entry = (&'static str, &'static str, Vec<usize>, Vec<u8>);

fn file_of(entries: &[Entry]) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in entries {
        let start = data.len();
        data.extend(bytes);
        header.push(format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{}]}}",
            data.len()
        ));
    }
    file(&format!("{{{}}}", header.join(",")), &data)
}

fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// fc1: 2 outputs over 3 inputs with a shift form; fc2: 2 outputs over 2 with thresholds; scales for each channel.
fn right() -> Vec<Entry> {
    vec![
        ("fc1.weight", "I8", vec![2, 3], [1i8, -2, 3, -4, 5, -6].map(|v| v as u8).to_vec()),
        ("fc1.multiplier", "I64", vec![1], i64s(&[3])),
        ("fc1.offset", "I64", vec![2], i64s(&[-7, 8])),
        ("fc1.shift", "U8", vec![1], vec![2]),
        ("fc1.half_even", "U8", vec![1], vec![1]),
        ("fc2.weight", "I16", vec![2, 2], [1i16, -1, 2, 1].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("fc2.thresholds", "I64", vec![2, 3], i64s(&[-5, 0, 5, -1, -1, 4])),
        ("fc2.falling", "U8", vec![2], vec![0, 1]),
        ("fc2.gain", "F64", vec![1], f64s(&[0.25])),
        ("fc2.bias", "F64", vec![2], f64s(&[0.5, -0.5])),
        ("output.scale", "F64", vec![2], f64s(&[0.5, -2.0])),
        ("output.offset", "F64", vec![1], f64s(&[1e-3])),
    ]
}

fn plan_text(sha256: &str) -> String {
    format!(
        "hwgen: 1
name: two-layers
arrays: {{ file: a.safetensors, sha256: \"{sha256}\" }}
input: {{ shape: [3], format: u4 }}
layers:
  - {{ name: fc1, op: dense, outputs: 2, weight: s4, output: u3 }}
  - {{ name: fc2, op: dense, outputs: 2, weight: s3, output: u2 }}
output: {{ name: logits }}
"
    )
}

fn build(bytes: Vec<u8>) -> Result<Network, Diagnostics> {
    let arrays = Arrays::parse(bytes, "a.safetensors")?;
    Plan::parse(&plan_text(arrays.sha256()), "plan.yaml").unwrap().build(Some(&arrays))
}

#[track_caller]
fn check(result: Result<impl std::fmt::Debug, Diagnostics>, expected: &[(Code, &str)]) {
    let faults = result.expect_err("the file must be wrong").0;
    let found: Vec<(Code, String)> = faults.iter().map(|fault| (fault.code, fault.place.to_string())).collect();
    let expected: Vec<(Code, String)> = expected.iter().map(|(code, place)| (*code, (*place).to_owned())).collect();
    assert_eq!(found, expected, "{faults:?}");
}

/// The right file with one array changed.
#[track_caller]
fn check_changed(name: &str, change: impl FnOnce(&mut Entry), code: Code, place: &str) {
    let mut entries = right();
    change(entries.iter_mut().find(|entry| entry.0 == name).unwrap());
    check(build(file_of(&entries)), &[(code, place)]);
}

#[track_caller]
fn check_missing(name: &str, code: Code, place: &str) {
    let mut entries = right();
    entries.retain(|entry| entry.0 != name);
    check(build(file_of(&entries)), &[(code, place)]);
}

const FC1: &str = "plan.yaml:6:5, layer fc1";
const FC2: &str = "plan.yaml:7:5, layer fc2";
const OUTPUT: &str = "plan.yaml:8:9";

#[test]
fn the_right_file_gives_its_numbers() {
    let network = build(file_of(&right())).unwrap();
    let (fc1, fc2) = (&network.layers()[0], &network.layers()[1]);
    assert_eq!(fc1.op.weights().unwrap().values[..], [1, -2, 3, -4, 5, -6]);
    assert_eq!(fc2.op.weights().unwrap().values[..], [1, -1, 2, 1]);
    let form = &fc1.requantization.as_ref().unwrap().form;
    assert_eq!(format!("{form:?}"), "Shift(Shift { multipliers: [3], offsets: [-7, 8], shift: 2, half_even: true })");
    let requantization = fc2.requantization.as_ref().unwrap();
    assert_eq!(
        format!("{:?}", requantization.form),
        "Thresholds(Thresholds { values: [-5, 0, 5, -1, -1, 4], count: 3, falling: [false, true] })"
    );
    assert_eq!(format!("{:?}", requantization.rule), "Some(RealRule { gains: [0.25], offsets: [0.5, -0.5] })");
    assert_eq!((&network.outputs()[0].scales[..], &network.outputs()[0].offsets[..]), (&[0.5, -2.0][..], &[1e-3][..]));
}

#[test]
fn files_that_are_no_sidecar() {
    let parse = |bytes: &[u8]| Arrays::parse(bytes.to_vec(), "a.safetensors");
    let fault = [(Code::ArrayFile, "a.safetensors")];
    let whole = file_of(&right());
    check(parse(&[]), &fault);
    check(parse(&whole[..7]), &fault);
    check(parse(&whole[..100]), &fault);
    check(parse(&whole[..whole.len() - 1]), &fault);
    check(parse(&[&whole[..], &[0]].concat()), &fault);
    check(parse(&u64::MAX.to_le_bytes()), &fault);
    check(parse(&[&(1u64 << 62).to_le_bytes(), &b"{}"[..]].concat()), &fault);
    check(parse(&file("{", b"")), &fault);
    check(parse(&file("[]", b"")), &fault);
    check(parse(&file(&"[".repeat(100_000), b"")), &fault);
    check(
        parse(&file("{\"a\":{\"dtype\":\"I8\",\"shape\":[4294967296,4294967296,16],\"data_offsets\":[0,0]}}", b"")),
        &fault,
    );
    check(parse(&file("{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[1,3]}}", b"xxx")), &fault);
    check(parse(&file("{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[2,0]}}", b"xx")), &fault);
    check(parse(&file("{\"a\":{\"dtype\":\"I9\",\"shape\":[2],\"data_offsets\":[0,2]}}", b"xx")), &fault);
    check(parse(&file("{\"\u{7}\":\u{1b}[2J}", b"")), &fault);
}

#[test]
fn another_file_than_the_plan_names() {
    let arrays = Arrays::parse(file_of(&right()), "a.safetensors").unwrap();
    let plan = Plan::parse(&plan_text(&"0123456789abcdef".repeat(4)), "plan.yaml").unwrap();
    check(plan.build(Some(&arrays)), &[(Code::ArrayHash, "plan.yaml:3:40")]);
    check(plan.build(None), &[(Code::ArrayMissing, "plan.yaml:3:17")]);
}

/// The digest that sha256sum prints for the text "abc" (FIPS 180-2, appendix B.1).
#[test]
fn hashes_are_sha256() {
    assert_eq!(network::arrays::sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn missing_arrays() {
    check_missing("fc1.weight", Code::ArrayMissing, FC1);
    check_missing("fc1.multiplier", Code::ArrayMissing, FC1);
    check_missing("fc1.shift", Code::ArrayMissing, FC1);
    check_missing("fc1.half_even", Code::ArrayMissing, FC1);
    check_missing("fc2.thresholds", Code::ArrayMissing, FC2);
    check_missing("fc2.falling", Code::ArrayMissing, FC2);
    check_missing("fc2.bias", Code::ArrayMissing, FC2);
    check_missing("output.scale", Code::ArrayMissing, OUTPUT);
    check(
        build(file("{}", b"")),
        &[(Code::ArrayMissing, FC1), (Code::ArrayMissing, FC1), (Code::ArrayMissing, FC2), (Code::ArrayMissing, FC2)],
    );
}

#[test]
fn wrong_types_and_shapes() {
    check_changed("fc1.weight", |entry| entry.1 = "F8_E4M3", Code::ArrayShape, FC1);
    check_changed("fc1.weight", |entry| entry.2 = vec![6], Code::ArrayShape, FC1);
    check_changed("fc1.weight", |entry| entry.2 = vec![3, 2], Code::ArrayShape, "plan.yaml:6:38, layer fc1");
    check_changed("fc2.weight", |entry| (entry.2, entry.3) = (vec![2, 3], vec![0; 12]), Code::LayerShape, FC2);
    check_changed(
        "fc1.multiplier",
        |entry| (entry.1, entry.2, entry.3) = ("F64", vec![1], f64s(&[1.0])),
        Code::ArrayShape,
        FC1,
    );
    check_changed("fc1.multiplier", |entry| entry.2 = vec![1, 1], Code::ArrayShape, FC1);
    check_changed(
        "fc1.multiplier",
        |entry| (entry.2, entry.3) = (vec![3], i64s(&[1, 2, 3])),
        Code::Requantization,
        FC1,
    );
    check_changed("fc1.multiplier", |entry| (entry.2, entry.3) = (vec![0], vec![]), Code::Requantization, FC1);
    check_changed("fc1.shift", |entry| (entry.2, entry.3) = (vec![2], vec![1, 1]), Code::ArrayShape, FC1);
    check_changed("fc2.falling", |entry| (entry.2, entry.3) = (vec![1], vec![0]), Code::ArrayShape, FC2);
    check_changed("fc2.thresholds", |entry| entry.2 = vec![3, 2], Code::ArrayShape, FC2);
    check_changed(
        "fc2.thresholds",
        |entry| (entry.2, entry.3) = (vec![2, 2], i64s(&[0, 1, 2, 3])),
        Code::Requantization,
        FC2,
    );
    check_changed(
        "fc2.gain",
        |entry| (entry.1, entry.3) = ("F32", 0.25f32.to_le_bytes().to_vec()),
        Code::ArrayShape,
        FC2,
    );
    check_changed("output.scale", |entry| (entry.2, entry.3) = (vec![3], f64s(&[1.0; 3])), Code::ArrayShape, OUTPUT);
}

#[test]
fn wrong_values() {
    check_changed("fc1.weight", |entry| entry.3[4] = 8, Code::WeightRange, FC1);
    check_changed(
        "fc1.weight",
        |entry| (entry.1, entry.3) = ("I64", i64s(&[0, 1, 2, 1 << 31, 4, 5])),
        Code::ArrayValue,
        FC1,
    );
    check_changed("fc1.multiplier", |entry| entry.3 = i64s(&[i64::MIN]), Code::Requantization, FC1);
    check_changed("fc1.offset", |entry| entry.3 = i64s(&[i64::MIN, i64::MAX]), Code::Requantization, FC1);
    check_changed("fc1.shift", |entry| entry.3 = vec![63], Code::ArrayValue, FC1);
    check_changed("fc1.half_even", |entry| entry.3 = vec![2], Code::ArrayValue, FC1);
    check_changed("fc2.falling", |entry| entry.3 = vec![0, 255], Code::ArrayValue, FC2);
    check_changed("fc2.thresholds", |entry| entry.3 = i64s(&[5, 0, -5, 0, 0, 0]), Code::Requantization, FC2);
    check_changed("fc2.gain", |entry| entry.3 = f64s(&[f64::NAN]), Code::ArrayValue, FC2);
    check_changed("output.scale", |entry| entry.3 = f64s(&[f64::NAN, 1.0]), Code::ArrayValue, OUTPUT);
    check_changed("output.offset", |entry| entry.3 = f64s(&[f64::NEG_INFINITY]), Code::ArrayValue, OUTPUT);
    let mut entries = right();
    entries.push(("fc2.multiplier", "I64", vec![1], i64s(&[1])));
    check(build(file_of(&entries)), &[(Code::Requantization, FC2)]);
}

#[test]
fn writer_uses_the_smallest_type_and_a_fixed_order() {
    let mut writer = network::arrays::ArraysWriter::default();
    writer.weights("b".to_owned(), [1, 2], &[127, -128]);
    writer.weights("a".to_owned(), [2, 1], &[128, -129]);
    writer.weights("c".to_owned(), [1, 1], &[-32769]);
    writer.weights("e".to_owned(), [1, 1], &[-129]);
    writer.bytes("d".to_owned(), &[9]);
    let expected = "{\"c\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[0,4]},\
                    \"a\":{\"dtype\":\"I16\",\"shape\":[2,1],\"data_offsets\":[4,8]},\
                    \"e\":{\"dtype\":\"I16\",\"shape\":[1,1],\"data_offsets\":[8,10]},\
                    \"b\":{\"dtype\":\"I8\",\"shape\":[1,2],\"data_offsets\":[10,12]},\
                    \"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[12,13]}}";
    let padded = format!("{expected:width$}", width = expected.len().next_multiple_of(8));
    assert_eq!(
        writer.finish().unwrap(),
        file(&padded, &[0xff, 0x7f, 0xff, 0xff, 128, 0, 0x7f, 0xff, 0x7f, 0xff, 127, 128, 9])
    );
}

/// fc1 as piecewise weights: region 0 is -2..1, region 1 is -4..3 times 3.
fn build_tagged(tags: Option<Entry>) -> Result<Network, Diagnostics> {
    let mut entries = right();
    entries[0] = ("fc1.weight", "I8", vec![2, 3], [1i8, -2, 3, -6, 9, 0].map(|v| v as u8).to_vec());
    entries.extend(tags);
    let arrays = Arrays::parse(file_of(&entries), "a.safetensors")?;
    let format = "weight: { piecewise: [2, 3], multipliers: [1, 3], group: 2 }";
    let text = plan_text(arrays.sha256()).replace("weight: s4", format);
    Plan::parse(&text, "plan.yaml").unwrap().build(Some(&arrays))
}

#[test]
fn region_tags() {
    let tags = |shape: &[usize], tags: &[u8]| build_tagged(Some(("fc1.tag", "U8", shape.to_vec(), tags.to_vec())));
    let layer = "plan.yaml:6:5, layer fc1";
    let network = build_tagged(None).unwrap();
    let coding = &network.layers()[0].op.weights().unwrap().coding;
    let network::coding::Coding::Piecewise(tagged) = coding else { panic!("{coding:?}") };
    assert_eq!(tagged.tags, [0, 1, 1, 0]);
    assert_eq!(network.layers()[0].op.weights().unwrap().stored_bits().total(), 2 * 2 + 3 + 2 * 3 + 2 + 4);
    tags(&[2, 2], &[0, 1, 1, 1]).unwrap();
    check(tags(&[2, 2], &[0, 1, 1, 2]), &[(Code::ArrayValue, layer)]);
    check(tags(&[2, 2], &[0, 0, 1, 0]), &[(Code::WeightRange, layer)]);
    check(tags(&[1, 3], &[0, 1, 1]), &[(Code::ArrayShape, layer)]);
    check(tags(&[4], &[0, 1, 1, 0]), &[(Code::ArrayShape, layer)]);
}
