// SPDX-License-Identifier: MIT OR Apache-2.0
// The request of a run, the codes of the records, and the stall pattern. The simulator crate's module `protocol` and its
// module `stall` say what they mean.
#pragma once

#include "wire.h"

constexpr uint32_t MAGIC = 0x33475748;  // "HWG3"
constexpr uint64_t RESET_CYCLES = 4;
constexpr uint64_t NEVER = ~uint64_t{0};
constexpr uint16_t AT_OUTPUTS = 0xc000;  // the first output's; edges are below
constexpr uint16_t AT_NOWHERE = 0xffff;
constexpr uint64_t VIOLATIONS_SENT = 100;

enum Tag : uint8_t { CYCLE = 1, WORD, OUTPUT, FRAME_END, VIOLATION, PROGRESS, END };
enum Kind : uint8_t { VALID_DROPPED = 0, DATA_CHANGED, LAST_CHANGED, LAST_WRONG, EXTRA_WORD, ASSERTION, FINISHED, WARNING, FATAL };
enum Reason : uint8_t { COMPLETE = 0, HANG, CYCLE_LIMIT, DESIGN_STOPPED, DESIGN_FATAL, BAD_MODEL };

struct Request {
    uint32_t design;
    bool observe;
    double stall_probability;
    uint64_t stall_seed;
    uint32_t random_seed;
    uint64_t idle_limit_cycles;
    uint64_t max_cycles;
    uint64_t drain_cycles;
    std::string trace_path;
    uint64_t trace_from_cycle;
    uint64_t trace_from_frame;
    uint64_t trace_cycles;
    std::string modes;  // of the frames, over and over

    explicit Request(Reader& in)
        : design{in.number<uint32_t>()}
        , observe{in.number<uint8_t>() != 0}
        , stall_probability{in.number<double>()}
        , stall_seed{in.number<uint64_t>()}
        , random_seed{in.number<uint32_t>()}
        , idle_limit_cycles{in.number<uint64_t>()}
        , max_cycles{in.number<uint64_t>()}
        , drain_cycles{in.number<uint64_t>()}
        , trace_path{in.text()}
        , trace_from_cycle{in.number<uint64_t>()}
        , trace_from_frame{in.number<uint64_t>()}
        , trace_cycles{in.number<uint64_t>()}
        , modes{in.text()} {}

    uint32_t mode(uint64_t frame) const { return modes.empty() ? 0 : static_cast<uint8_t>(modes[frame % modes.size()]); }
};

inline uint64_t splitmix64(uint64_t x) {
    uint64_t z = x + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

inline bool stalled(const Request& request, uint64_t endpoint, uint64_t cycle) {
    if (request.stall_probability <= 0) return false;
    const uint64_t x = request.stall_seed * 0x9E3779B97F4A7C15u + endpoint * 0xD1B54A32D192ED03u + cycle;
    return static_cast<double>(splitmix64(x) >> 11) * 0x1p-53 < request.stall_probability;
}
