// SPDX-License-Identifier: MIT OR Apache-2.0
// Drives one verilated design: stimulus with stalls, observation of every edge, protocol checks, hang detection.
//
// One process is one run. Every cycle settles the inputs with the clock low, samples, then raises the clock, so what is
// sampled is what the flip-flops see at that rising edge. Cycle 0 is the first rising edge with reset released.
#include "harness.h"
#include "request.h"

#include <verilated_syms.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#ifdef __linux__
#include <sys/prctl.h>
#include <csignal>
#endif

namespace {

// Copies a value of the model, with the bits above its width cleared.
void copy_value(uint8_t* to, const uint8_t* from, uint32_t bits) {
    const size_t bytes = (bits + 7) / 8;
    std::memcpy(to, from, bytes);
    if (bits % 8) to[bytes - 1] = static_cast<uint8_t>(to[bytes - 1] & ((1u << (bits % 8)) - 1));
}

class Run;
Run* current = nullptr;

class Run {
    struct Edge {
        const EdgeSpec* spec;
        const uint8_t* valid;
        const uint8_t* ready;
        const uint8_t* data;
        uint64_t words = 0;
        bool waiting = false;
        std::vector<uint8_t> now;
        std::vector<uint8_t> held;
    };

    struct Input {
        const EndSpec* spec;
        InputPorts ports;
        size_t offset = 0;        // of its words in a frame
        uint64_t words = 0;       // taken in all
        uint64_t frame_words = 0; // taken of the frame that is being sent
        uint64_t frame = 0;       // which frame that is
        bool holding = false;
    };

    struct Output {
        const EndSpec* spec;
        OutputPorts ports;
        uint64_t words = 0;
        bool waiting = false;
        uint8_t last = 0;
        std::vector<uint8_t> now;
        std::vector<uint8_t> held;
    };

    Reader& m_in;
    Writer& m_out;
    const Request m_request;
    const DesignSpec& m_spec;
    VerilatedContext m_context;
    std::unique_ptr<Design> m_design;
    Ports m_ports{};
    std::vector<Edge> m_edges;
    std::vector<Input> m_inputs;
    std::vector<Output> m_outputs;

    uint64_t m_cycle = 0;
    bool m_cycle_sent = false;
    bool m_stop = false;
    uint64_t m_violations = 0;

    // Sources: `m_frames` holds the frames from the first that some input still sends to the last that one has begun.
    std::deque<std::vector<uint8_t>> m_frames;
    size_t m_frame_bytes = 0;
    uint64_t m_frames_sent = 0;
    uint64_t m_frames_begun = 0;
    uint64_t m_offer_from = 0;  // the earliest cycle for the next frame's first word
    bool m_mode_write = false;
    bool m_input_ended = false;
    uint64_t m_first_in = NEVER;

    uint64_t m_last_out = NEVER;

#if VM_TRACE
    std::unique_ptr<TraceFile> m_trace;
    uint64_t m_trace_left = 0;
#endif

public:
    Run(Reader& in, Writer& out, Request request)
        : m_in{in}
        , m_out{out}
        , m_request{std::move(request)}
        , m_spec{designs[m_request.design]} {
        current = this;
        Verilated::threadContextp(&m_context);
        m_context.randReset(2);
        m_context.randSeed(static_cast<int>(m_request.random_seed & 0x7fffffffu) | 1);
#if VM_TRACE
        if (!m_request.trace_path.empty()) m_context.traceEverOn(true);
#endif
    }

    void violation(Kind kind, uint16_t place, const std::string& text) {
        if (m_violations++ >= VIOLATIONS_SENT) return;
        m_out.number(static_cast<uint8_t>(VIOLATION));
        m_out.number(static_cast<uint8_t>(kind));
        m_out.number(m_cycle);
        m_out.number(place);
        m_out.text(text);
    }

    void design_says(Kind kind, const char* file, int line, const char* hierarchy, const char* message) {
        std::string text = file ? file : "";
        text += ':' + std::to_string(line);
        if (hierarchy && *hierarchy) text += std::string{" in "} + hierarchy;
        if (message && *message) text += std::string{": "} + message;
        violation(kind, AT_NOWHERE, text);
        m_stop = true;
    }

    void end(Reason reason) {
        m_out.number(static_cast<uint8_t>(END));
        m_out.number(static_cast<uint8_t>(reason));
        m_out.number(m_cycle);
        m_out.number(m_first_in);
        m_out.number(m_last_out);
        m_out.number(m_violations);
        m_out.number(static_cast<uint32_t>(m_inputs.size()));
        for (const Input& input : m_inputs) {
            m_out.number(input.words);
            m_out.number(static_cast<uint8_t>(*input.ports.valid & 1));
            m_out.number(static_cast<uint8_t>(*input.ports.ready & 1));
        }
        m_out.number(static_cast<uint32_t>(m_outputs.size()));
        for (const Output& output : m_outputs) {
            m_out.number(output.words);
            m_out.number(static_cast<uint8_t>(*output.ports.valid & 1));
            m_out.number(static_cast<uint8_t>(*output.ports.ready & 1));
        }
        m_out.number(static_cast<uint32_t>(m_edges.size()));
        for (const Edge& edge : m_edges) {
            m_out.number(edge.words);
            m_out.number(static_cast<uint8_t>(*edge.valid & 1));
            m_out.number(static_cast<uint8_t>(edge.ready ? *edge.ready & 1 : 1));
        }
        m_out.flush();
    }

    Reason run() {
        m_design.reset(m_spec.create(&m_context));
        if (!bind()) return BAD_MODEL;
        *m_ports.aclk = 0;
        *m_ports.aresetn = 0;
        for (Input& input : m_inputs) *input.ports.valid = 0;
        if (m_ports.mode.awvalid) {
            *m_ports.mode.awvalid = *m_ports.mode.wvalid = *m_ports.mode.arvalid = 0;
            *m_ports.mode.bready = *m_ports.mode.rready = 1;
        }
        for (Output& output : m_outputs) *output.ports.ready = 0;
        for (uint64_t cycle = 0; cycle < RESET_CYCLES && !m_stop; ++cycle) {
            *m_ports.aclk = 0;
            m_design->eval();
            trace_low(true);
            m_context.timeInc(5);
            *m_ports.aclk = 1;
            m_design->eval();
            trace_high();
            m_context.timeInc(5);
        }
        *m_ports.aresetn = 1;
        if (m_request.mode(0) != 0) write_mode(0, 1);

        uint64_t idle = 0;
        uint64_t drained = 0;
        while (!m_stop) {
            drive();
            *m_ports.aclk = 0;
            m_design->eval();
            if (m_stop) break;
            trace_low(false);
            m_context.timeInc(5);
            const bool complete = is_complete();
            const bool moved = sample();
            if (complete) {
                if (moved) violation(EXTRA_WORD, AT_NOWHERE, "a word moved after all frames had passed every edge");
                if (++drained >= m_request.drain_cycles) {
                    check_counts();
                    return COMPLETE;
                }
            } else {
                idle = moved ? 0 : idle + 1;
                if (idle >= m_request.idle_limit_cycles) return HANG;
            }
            if (m_cycle + 1 >= m_request.max_cycles) return CYCLE_LIMIT;
            *m_ports.aclk = 1;
            m_design->eval();
            trace_high();
            m_context.timeInc(5);
            ++m_cycle;
            m_cycle_sent = false;
            if (m_cycle % 4096 == 0 && m_out.is_stale()) {
                m_out.number(static_cast<uint8_t>(PROGRESS));
                m_out.number(m_cycle);
                m_out.number(finished_frames());
                m_out.flush();
            }
        }
        return DESIGN_STOPPED;
    }

    void close() {
        m_design->finish();
#if VM_TRACE
        if (m_trace) m_trace->close();
#endif
    }

private:
    const uint8_t* find(const char* scope_name, const char* net, uint32_t bits) {
        const VerilatedScope* const scope = m_context.scopeFind(scope_name);
        const VerilatedVar* const var = scope ? scope->varFind(net) : nullptr;
        if (!var) {
            violation(FATAL, AT_NOWHERE, std::string{"no net "} + scope_name + '.' + net + " in the verilated model");
            return nullptr;
        }
        const uint32_t found = var->dims() == 0 ? 1 : static_cast<uint32_t>(var->packed().elements());
        if (var->udims() != 0 || found != bits) {
            violation(FATAL, AT_NOWHERE, std::string{scope_name} + '.' + net + " has " + std::to_string(found)
                          + " bits, the manifest says " + std::to_string(bits));
            return nullptr;
        }
        return static_cast<const uint8_t*>(var->datap());
    }

    bool bind() {
        m_ports = m_design->ports();
        bool good = true;
        for (size_t index = 0; index < m_spec.inputs_count; ++index) {
            Input input{};
            input.spec = &m_spec.inputs[index];
            input.ports = m_ports.inputs[index];
            input.offset = m_frame_bytes;
            const std::string data = std::string{input.spec->prefix} + "_tdata";
            const size_t bytes = input.spec->data_bits / 8;
            good = good && find(m_spec.scope, data.c_str(), input.spec->data_bits) && bytes <= input.ports.data_bytes;
            m_frame_bytes += bytes * input.spec->words_per_frame;
            m_inputs.push_back(input);
        }
        for (size_t index = 0; index < m_spec.outputs_count; ++index) {
            Output output{};
            output.spec = &m_spec.outputs[index];
            output.ports = m_ports.outputs[index];
            const std::string data = std::string{output.spec->prefix} + "_tdata";
            const size_t bytes = output.spec->data_bits / 8;
            good = good && find(m_spec.scope, data.c_str(), output.spec->data_bits) && bytes <= output.ports.data_bytes;
            output.now.resize(bytes);
            output.held.resize(bytes);
            m_outputs.push_back(std::move(output));
        }
        for (size_t index = 0; index < m_spec.edges_count; ++index) {
            const EdgeSpec& spec = m_spec.edges[index];
            Edge edge{};
            edge.spec = &spec;
            edge.valid = find(spec.scope, spec.valid, 1);
            edge.ready = spec.ready ? find(spec.scope, spec.ready, 1) : nullptr;
            edge.data = find(spec.scope, spec.data, spec.bits);
            edge.now.resize((spec.bits + 7) / 8);
            edge.held.resize(edge.now.size());
            if (edge.valid && edge.data && (edge.ready || !spec.ready)) {
                m_edges.push_back(std::move(edge));
            } else {
                good = false;
            }
        }
        if (!good) {
            m_edges.clear();
            m_inputs.clear();
            m_outputs.clear();
            m_ports = Ports{};
            return false;
        }
        return true;
    }

    // True when a word of the input is there to be offered; reads the next frame when it has sent all that were read.
    bool has_word(const Input& input) {
        if (input.frame < m_frames_begun) return true;
        if (m_input_ended) return false;
        // Whoever sends the frames may wait for these records first.
        if (!m_in.has(1 + m_frame_bytes)) m_out.flush();
        if (m_in.number<uint8_t>() == 0) {
            m_input_ended = true;
            return false;
        }
        m_frames.emplace_back(m_frame_bytes);
        m_in.bytes(m_frames.back().data(), m_frame_bytes);
        ++m_frames_begun;
        return true;
    }

    // The register gets the mode of a frame; the frame is offered from a cycle on.
    void write_mode(uint64_t frame, uint64_t offer_from) {
        m_offer_from = offer_from;
        if (!m_ports.mode.awvalid) return;
        *m_ports.mode.awaddr = 0;
        *m_ports.mode.wdata = m_request.mode(frame);
        *m_ports.mode.wstrb = 15;
        m_mode_write = true;
    }

    void drive(Input& input, uint64_t endpoint) {
        if (input.holding) return;
        const InputPorts& ports = input.ports;
        const size_t bytes = input.spec->data_bits / 8;
        // Frames take their modes at the first input.
        const bool held = endpoint == 0 && input.frame_words == 0 && m_cycle < m_offer_from;
        if (has_word(input) && !held && !stalled(m_request, endpoint, m_cycle)) {
            const std::vector<uint8_t>& frame = m_frames[input.frame - m_frames_sent];
            std::memcpy(ports.data, frame.data() + input.offset + input.frame_words * bytes, bytes);
            *ports.last = input.frame_words + 1 == input.spec->words_per_frame;
            *ports.valid = 1;
            input.holding = true;
        } else if (*ports.valid) {
            // What stands on the wires without valid means nothing: make it differ from the last word.
            for (size_t byte = 0; byte < bytes; ++byte) ports.data[byte] = static_cast<uint8_t>(~ports.data[byte]);
            *ports.last = !*ports.last;
            *ports.valid = 0;
        }
    }

    void drive() {
        if (m_ports.mode.awvalid) *m_ports.mode.awvalid = *m_ports.mode.wvalid = m_mode_write;
        uint64_t endpoint = 0;
        for (Input& input : m_inputs) drive(input, endpoint++);
        for (Output& output : m_outputs) *output.ports.ready = !stalled(m_request, endpoint++, m_cycle);
    }

    void stamp() {
        if (m_cycle_sent) return;
        m_cycle_sent = true;
        m_out.number(static_cast<uint8_t>(CYCLE));
        m_out.number(m_cycle);
    }

    bool sample() {
        bool moved = false;
        if (m_mode_write) {
            m_mode_write = false;
            if (!(*m_ports.mode.awready & *m_ports.mode.wready & 1)) violation(FATAL, AT_NOWHERE, "the mode register is not ready");
        }
        if (m_ports.mode.awvalid && (*m_ports.mode.bvalid & 1) && (*m_ports.mode.bresp & 3)) {
            violation(FATAL, AT_NOWHERE, "the mode register refuses a mode");
        }
        for (Input& input : m_inputs) {
            if (!input.holding || !(*input.ports.ready & 1)) continue;
            if (&input == &m_inputs.front() && input.frame_words == 0
                && m_request.mode(input.frame) != m_request.mode(input.frame + 1)) {
                write_mode(input.frame + 1, m_cycle + 2);
            }
            moved = true;
            input.holding = false;
            ++input.words;
            if (m_first_in == NEVER) m_first_in = m_cycle;
            if (++input.frame_words == input.spec->words_per_frame) {
                input.frame_words = 0;
                ++input.frame;
                forget_frames();
            }
        }
        for (size_t index = 0; index < m_edges.size(); ++index) {
            Edge& edge = m_edges[index];
            const bool valid = *edge.valid & 1;
            if (!valid) {
                if (edge.waiting) {
                    edge.waiting = false;
                    violation(VALID_DROPPED, static_cast<uint16_t>(index), "valid fell before the word was taken");
                }
                continue;
            }
            copy_value(edge.now.data(), edge.data, edge.spec->bits);
            if (edge.waiting && edge.now != edge.held) {
                violation(DATA_CHANGED, static_cast<uint16_t>(index), "data changed while the word waited");
            }
            if (edge.ready && !(*edge.ready & 1)) {
                edge.waiting = true;
                edge.held = edge.now;
                continue;
            }
            edge.waiting = false;
            ++edge.words;
            moved = true;
            if (m_request.observe) {
                stamp();
                m_out.number(static_cast<uint8_t>(WORD));
                m_out.number(static_cast<uint16_t>(index));
                m_out.bytes(edge.now.data(), edge.now.size());
            }
        }
        for (size_t index = 0; index < m_outputs.size(); ++index) moved |= sample_output(index);
        return moved;
    }

    // Drops frames that every input has sent.
    void forget_frames() {
        uint64_t sent = NEVER;
        for (const Input& input : m_inputs) sent = std::min(sent, input.frame);
        for (; m_frames_sent < sent; ++m_frames_sent) m_frames.pop_front();
    }

    static std::string port_name(const Output& output) { return output.spec->prefix; }

    bool sample_output(size_t index) {
        Output& output = m_outputs[index];
        const uint16_t place = static_cast<uint16_t>(AT_OUTPUTS + index);
        const bool valid = *output.ports.valid & 1;
        const uint8_t last = *output.ports.last & 1;
        if (output.waiting && !valid) violation(VALID_DROPPED, place, port_name(output) + "_tvalid fell before the word was taken");
        if (!valid) {
            output.waiting = false;
            return false;
        }
        copy_value(output.now.data(), output.ports.data, output.spec->data_bits);
        if (output.waiting && output.now != output.held) violation(DATA_CHANGED, place, port_name(output) + "_tdata changed while the word waited");
        if (output.waiting && last != output.last) violation(LAST_CHANGED, place, port_name(output) + "_tlast changed while the word waited");
        if (!(*output.ports.ready & 1)) {
            output.waiting = true;
            output.held = output.now;
            output.last = last;
            return false;
        }
        output.waiting = false;
        ++output.words;
        m_last_out = m_cycle;
        stamp();
        m_out.number(static_cast<uint8_t>(OUTPUT));
        m_out.number(static_cast<uint16_t>(index));
        m_out.number(last);
        m_out.bytes(output.now.data(), output.now.size());
        const uint64_t words_per_frame = output.spec->words_per_frame;
        const bool ends = output.words % words_per_frame == 0;
        if (last != (ends ? 1 : 0)) {
            violation(LAST_WRONG, place, port_name(output) + "_tlast is " + (last ? "high" : "low") + " at word "
                          + std::to_string((output.words - 1) % words_per_frame) + " of " + std::to_string(words_per_frame));
        }
        if (ends) {
            m_out.number(static_cast<uint8_t>(FRAME_END));
            m_out.number(static_cast<uint16_t>(index));
            m_out.number(output.words / words_per_frame - 1);
            m_out.number(m_cycle);
        }
        return true;
    }

    // Frames that have left the design at every output.
    uint64_t finished_frames() const {
        uint64_t frames = NEVER;
        for (const Output& output : m_outputs) frames = std::min(frames, output.words / output.spec->words_per_frame);
        return frames;
    }

    // All frames that were sent have passed every edge and left the design.
    bool is_complete() const {
        if (!m_input_ended) return false;
        for (const Input& input : m_inputs) {
            if (input.holding || input.frame < m_frames_begun) return false;
        }
        for (const Output& output : m_outputs) {
            if (output.words < m_frames_begun * output.spec->words_per_frame) return false;
        }
        for (const Edge& edge : m_edges) {
            if (edge.words < m_frames_begun * edge.spec->words_per_frame) return false;
        }
        return true;
    }

    void check_counts() {
        for (size_t index = 0; index < m_outputs.size(); ++index) {
            const Output& output = m_outputs[index];
            const uint64_t expected = m_frames_begun * output.spec->words_per_frame;
            if (output.words > expected) {
                violation(EXTRA_WORD, static_cast<uint16_t>(AT_OUTPUTS + index),
                          std::to_string(output.words) + " words moved, not " + std::to_string(expected));
            }
        }
        for (size_t index = 0; index < m_edges.size(); ++index) {
            const Edge& edge = m_edges[index];
            const uint64_t expected = m_frames_begun * edge.spec->words_per_frame;
            if (edge.words > expected) {
                violation(EXTRA_WORD, static_cast<uint16_t>(index),
                          std::to_string(edge.words) + " words moved, not " + std::to_string(expected));
            }
        }
    }

    void trace_low(bool in_reset) {
#if VM_TRACE
        if (m_request.trace_path.empty()) return;
        if (!m_trace) {
            const bool begins = m_request.trace_from_frame != NEVER ? !in_reset && m_frames_begun > m_request.trace_from_frame
                                                                    : m_request.trace_from_cycle == 0
                                                                          || (!in_reset && m_cycle >= m_request.trace_from_cycle);
            if (!begins) return;
            m_trace = std::make_unique<TraceFile>();
            m_design->trace(m_trace.get());
            m_trace->open(m_request.trace_path.c_str());
            if (!m_trace->isOpen()) {
                violation(FATAL, AT_NOWHERE, "cannot write the trace file " + m_request.trace_path);
                m_stop = true;
                return;
            }
            m_trace_left = m_request.trace_cycles;
        }
        if (m_trace_left) m_trace->dump(m_context.time());
#endif
    }

    void trace_high() {
#if VM_TRACE
        if (!m_trace || !m_trace_left) return;
        m_trace->dump(m_context.time());
        if (--m_trace_left == 0) m_trace->flush();
#endif
    }
};

}  // namespace

void vl_finish(const char* file, int line, const char* hierarchy) VL_MT_UNSAFE {
    if (current) current->design_says(FINISHED, file, line, hierarchy, "");
}

void vl_stop(const char* file, int line, const char* hierarchy) VL_MT_UNSAFE {
    if (current) current->design_says(ASSERTION, file, line, hierarchy, "");
}

void vl_warn(const char* file, int line, const char* hierarchy, const char* message) VL_MT_UNSAFE {
    if (current) current->design_says(WARNING, file, line, hierarchy, message);
}

void vl_fatal(const char* file, int line, const char* hierarchy, const char* message) VL_MT_UNSAFE {
    if (current) {
        current->design_says(FATAL, file, line, hierarchy, message);
        current->end(DESIGN_FATAL);
    }
    std::fflush(stdout);
    ::_exit(0);
}

int main() {
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    // The design's own $display goes to standard error, so that only records travel on the pipe.
    const int records = ::dup(1);
    if (records < 0 || ::dup2(2, 1) < 0) return 1;
    Reader in;
    Writer out{records};
    if (in.number<uint32_t>() != MAGIC) return 2;
    Request request{in};
    if (request.design >= designs_count) return 2;
    // The run outlives main's exit on purpose: a model need not be torn down.
    auto* const run = new Run{in, out, std::move(request)};
    const Reason reason = run->run();
    run->end(reason);
    run->close();
    std::fflush(stdout);
    ::_exit(0);
}
