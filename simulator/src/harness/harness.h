// SPDX-License-Identifier: MIT OR Apache-2.0
// What the generated glue (`glue.cpp`, one per build) and the fixed harness (`harness.cpp`) agree on.
//
// The glue wraps each verilated top in a `Design` and lists all of them, with their edges, in `designs`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>
#include <verilated.h>

#if VM_TRACE
#if VM_TRACE_FST
#include <verilated_fst_c.h>
using TraceFile = VerilatedFstC;
#else
#include <verilated_vcd_c.h>
using TraceFile = VerilatedVcdC;
#endif
#endif

// One AXI4-Stream input of a verilated top; `tdata` is little-endian bytes.
struct InputPorts {
    uint8_t* valid;
    const uint8_t* ready;
    uint8_t* data;
    uint8_t* last;
    size_t data_bytes;  // storage, not width
};

// One AXI4-Stream output of a verilated top.
struct OutputPorts {
    const uint8_t* valid;
    uint8_t* ready;
    const uint8_t* data;
    const uint8_t* last;
    size_t data_bytes;  // storage, not width
};

// The AXI4-Lite register of a verilated top that chooses the mode; all null where there is none.
struct RegisterPorts {
    uint8_t* awaddr;
    uint8_t* awvalid;
    const uint8_t* awready;
    uint32_t* wdata;
    uint8_t* wstrb;
    uint8_t* wvalid;
    const uint8_t* wready;
    const uint8_t* bresp;
    const uint8_t* bvalid;
    uint8_t* bready;
    uint8_t* arvalid;
    uint8_t* rready;
};

// The ports of one verilated top, as pointers into the model.
struct Ports {
    uint8_t* aclk;
    uint8_t* aresetn;
    std::vector<InputPorts> inputs;
    std::vector<OutputPorts> outputs;
    RegisterPorts mode;
};

class Design {
public:
    virtual ~Design() = default;
    virtual Ports ports() = 0;
    virtual void eval() = 0;
    virtual void finish() = 0;
#if VM_TRACE
    virtual void trace(TraceFile* file) = 0;
#endif
};

template <typename Port>
uint8_t* at(Port& port) {
    return reinterpret_cast<uint8_t*>(&port);
}

// `Ends` finds the inputs and outputs, whose names the manifest gives.
template <typename Top, void (*Ends)(Top&, Ports&)>
class Wrapped final : public Design {
    Top m_top;

public:
    explicit Wrapped(VerilatedContext* context)
        : m_top{context, "TOP"} {}
    static Design* create(VerilatedContext* context) { return new Wrapped{context}; }
    Ports ports() override {
        Ports ports{at(m_top.aclk), at(m_top.aresetn), {}, {}, {}};
        Ends(m_top, ports);
        return ports;
    }
    void eval() override { m_top.eval(); }
    void finish() override { m_top.final(); }
#if VM_TRACE
    void trace(TraceFile* file) override { m_top.trace(file, 99); }
#endif
};

struct EndSpec {
    const char* prefix;  // "s_axis", "m_axis"
    uint32_t data_bits;
    uint64_t words_per_frame;
};

struct EdgeSpec {
    const char* scope;  // "TOP.top.u_instance"
    const char* valid;
    const char* ready;  // nullptr where a word is taken whenever it is offered
    const char* data;
    uint32_t bits;
    uint64_t words_per_frame;
};

struct DesignSpec {
    Design* (*create)(VerilatedContext* context);
    const char* scope;  // "TOP.top"
    const EndSpec* inputs;
    size_t inputs_count;
    const EndSpec* outputs;
    size_t outputs_count;
    const EdgeSpec* edges;
    size_t edges_count;
};

extern const DesignSpec designs[];
extern const size_t designs_count;
