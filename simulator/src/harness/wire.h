// SPDX-License-Identifier: MIT OR Apache-2.0
// Both directions of the pipe: reads the request and the frames from standard input, batches records for the
// simulator crate. The formats are documented in the crate's module `protocol`.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

// Exit codes that the simulator crate tells apart from a crash.
constexpr int EXIT_PEER_GONE = 4;

class Reader {
    std::vector<uint8_t> m_buffer = std::vector<uint8_t>(1 << 16);
    size_t m_position = 0;
    size_t m_filled = 0;

public:
    void bytes(void* to, size_t count) {
        auto* out = static_cast<uint8_t*>(to);
        while (count) {
            if (m_position == m_filled) {
                const ssize_t got = ::read(0, m_buffer.data(), m_buffer.size());
                if (got < 0 && errno == EINTR) continue;
                if (got <= 0) ::_exit(EXIT_PEER_GONE);
                m_position = 0;
                m_filled = static_cast<size_t>(got);
            }
            const size_t step = count < m_filled - m_position ? count : m_filled - m_position;
            std::memcpy(out, m_buffer.data() + m_position, step);
            m_position += step;
            out += step;
            count -= step;
        }
    }
    bool has(size_t count) const { return m_filled - m_position >= count; }
    template <typename T>
    T number() {
        T value;
        bytes(&value, sizeof value);
        return value;
    }
    std::string text() {
        std::string out(number<uint32_t>(), '\0');
        bytes(&out[0], out.size());
        return out;
    }
};

class Writer {
    static constexpr size_t BATCH_BYTES = 1 << 18;
    std::vector<uint8_t> m_buffer = std::vector<uint8_t>(BATCH_BYTES);
    size_t m_filled = 0;
    int m_file;
    std::chrono::steady_clock::time_point m_flushed = std::chrono::steady_clock::now();

public:
    explicit Writer(int file)
        : m_file{file} {}
    void flush() {
        size_t done = 0;
        while (done < m_filled) {
            const ssize_t put = ::write(m_file, m_buffer.data() + done, m_filled - done);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) ::_exit(EXIT_PEER_GONE);
            done += static_cast<size_t>(put);
        }
        m_filled = 0;
        m_flushed = std::chrono::steady_clock::now();
    }
    bool is_stale() const { return std::chrono::steady_clock::now() - m_flushed > std::chrono::milliseconds(100); }
    void bytes(const void* from, size_t count) {
        if (m_buffer.size() - m_filled < count) {
            flush();
            if (m_buffer.size() < count) m_buffer.resize(count);
        }
        std::memcpy(m_buffer.data() + m_filled, from, count);
        m_filled += count;
    }
    template <typename T>
    void number(T value) {
        bytes(&value, sizeof value);
    }
    void text(const std::string& value) {
        number(static_cast<uint32_t>(value.size()));
        bytes(value.data(), value.size());
    }
};
