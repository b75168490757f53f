// Drives many devices under test in one Verilated top: see harness.rs for the
// layout of the two files. All numbers are little-endian.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "Vbench_top.h"
#include "verilated.h"

static uint64_t splitmix64(uint64_t x) {
    uint64_t z = x + 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static bool stalled(uint64_t seed, uint64_t endpoint, uint64_t cycle, double probability) {
    uint64_t key = seed * 0x9E3779B97F4A7C15ull + endpoint * 0xD1B54A32D192ED03ull + cycle;
    return double(splitmix64(key) >> 11) * (1.0 / 9007199254740992.0) < probability;
}

struct Device {
    uint32_t outputs, words_per_frame;
    std::vector<uint32_t> data;     // input words, WORD_UNITS units each
    std::vector<uint32_t> expected; // words at each output
};

struct Output {
    std::vector<uint32_t> record; // cycle low, cycle high, last, data units
    uint32_t count = 0;
};

template <typename T> static void set_bit(T& vector, size_t bit, bool value) {
    uint32_t mask = 1u << (bit % 32);
    if (value) vector[bit / 32] |= mask;
    else vector[bit / 32] &= ~mask;
}

template <typename T> static bool get_bit(const T& vector, size_t bit) {
    return (vector[bit / 32] >> (bit % 32)) & 1;
}

static void read(FILE* file, void* target, size_t bytes) {
    if (bytes && fread(target, 1, bytes, file) != bytes) {
        fprintf(stderr, "stimulus file is short\n");
        exit(3);
    }
}

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    FILE* in = fopen(argv[1], "rb");
    FILE* out = fopen(argv[2], "wb");
    if (!in || !out) return 3;
    uint32_t header[3]; // devices, runs, units of a word
    read(in, header, sizeof header);
    const size_t units = header[2];
    std::vector<Device> devices(header[0]);
    for (auto& device : devices) {
        uint32_t sizes[3]; // outputs, input words per frame, input words
        read(in, sizes, sizeof sizes);
        device.outputs = sizes[0];
        device.words_per_frame = sizes[1];
        device.expected.resize(sizes[0]);
        read(in, device.expected.data(), 4 * sizes[0]);
        device.data.resize(sizes[2] * units);
        read(in, device.data.data(), 4 * device.data.size());
    }
    Vbench_top top;
    for (uint32_t run = 0; run < header[1]; ++run) {
        uint64_t seed, limit;
        double source_probability, sink_probability;
        read(in, &seed, 8);
        read(in, &limit, 8);
        read(in, &source_probability, 8);
        read(in, &sink_probability, 8);
        std::vector<size_t> sent(devices.size(), 0);
        std::vector<bool> offered(devices.size(), false);
        std::vector<Output> outputs;
        for (auto& device : devices)
            for (uint32_t k = 0; k < device.outputs; ++k) outputs.emplace_back();
        top.rst = 1;
        for (size_t d = 0; d < devices.size(); ++d) set_bit(top.s_valid, d, false);
        for (int edge = 0; edge < 3; ++edge) {
            top.clk = 0;
            top.eval();
            top.clk = 1;
            top.eval();
        }
        top.rst = 0;
        uint64_t grace = 0;
        for (uint64_t cycle = 0; cycle < limit && grace < 300; ++cycle) {
            top.clk = 0;
            size_t o = 0;
            bool finished = true;
            for (size_t d = 0; d < devices.size(); ++d) {
                Device& device = devices[d];
                uint64_t own = seed + d;
                size_t total = device.data.size() / units;
                if (!offered[d] && sent[d] < total) {
                    offered[d] = !stalled(own, 0, cycle, source_probability);
                    if (offered[d]) {
                        for (size_t u = 0; u < units; ++u)
                            top.s_data[d * units + u] = device.data[sent[d] * units + u];
                        set_bit(top.s_last, d, (sent[d] + 1) % device.words_per_frame == 0);
                    }
                }
                set_bit(top.s_valid, d, offered[d]);
                for (uint32_t k = 0; k < device.outputs; ++k, ++o) {
                    set_bit(top.m_ready, o, !stalled(own, 1 + k, cycle, sink_probability));
                    finished &= outputs[o].count >= device.expected[k];
                }
            }
            if (finished) ++grace;
            top.eval();
            o = 0;
            for (size_t d = 0; d < devices.size(); ++d) {
                if (offered[d] && get_bit(top.s_ready, d)) {
                    offered[d] = false;
                    ++sent[d];
                }
                for (uint32_t k = 0; k < devices[d].outputs; ++k, ++o) {
                    if (get_bit(top.m_valid, o) && get_bit(top.m_ready, o)) {
                        auto& record = outputs[o].record;
                        ++outputs[o].count;
                        record.push_back(uint32_t(cycle));
                        record.push_back(uint32_t(cycle >> 32));
                        record.push_back(get_bit(top.m_last, o));
                        for (size_t u = 0; u < units; ++u) record.push_back(top.m_data[o * units + u]);
                    }
                }
            }
            top.clk = 1;
            top.eval();
            if (Verilated::gotFinish()) return 4;
        }
        for (auto& output : outputs) {
            fwrite(&output.count, 4, 1, out);
            fwrite(output.record.data(), 4, output.record.size(), out);
        }
    }
    fclose(out);
    top.final();
    return 0;
}
