// Buffers of Arrow columns that are filled row by row, and how Python is told of them.
//
// What does not belong here: what is read into them.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifndef SOURCE  // which setup.py defines
#error "SOURCE is the SHA-256 of the source, by which compiled.py knows what was compiled"
#endif

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Text = std::string_view;

// ---- Text ---------------------------------------------------------------------------------------

inline bool is_continuing(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// How many bytes the character at `text` has; 0 where there is none. It is not ASCII.
inline size_t character_bytes(const uint8_t* text, size_t left) {
    const uint8_t first = text[0];
    if (first < 0xc2 || first > 0xf4) return 0;
    const size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size > left) return 0;
    for (size_t i = 1; i < size; ++i)
        if (!is_continuing(text[i])) return 0;
    const uint8_t second = text[1];
    const bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool is_surrogate = first == 0xed && second > 0x9f;
    const bool is_too_large = first == 0xf4 && second > 0x8f;
    return is_overlong || is_surrogate || is_too_large ? 0 : size;
}

// Whether bytes are text in UTF-8.
inline bool is_text(const uint8_t* text, size_t left) {
    while (left) {
        uint64_t eight;
        if (left >= sizeof eight) {
            std::memcpy(&eight, text, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                text += sizeof eight;
                left -= sizeof eight;
                continue;
            }
        }
        const size_t size = *text < 0x80 ? 1 : character_bytes(text, left);
        if (!size) return false;
        text += size;
        left -= size;
    }
    return true;
}

// ---- Columns ------------------------------------------------------------------------------------

// Which places of a column have a value.
class Validity {
  public:
    void add(bool is_valid) {
        if (length_ % 8 == 0) bits_.push_back(0);
        if (is_valid)
            bits_.back() |= uint8_t(1 << length_ % 8);
        else
            has_nulls_ = true;
        ++length_;
    }

    size_t length() const { return length_; }
    bool has_nulls() const { return has_nulls_; }
    const std::vector<uint8_t>& bits() const { return bits_; }

  private:
    std::vector<uint8_t> bits_;
    size_t length_ = 0;
    bool has_nulls_ = false;
};

// Where in what is inside it each value of a column begins and ends.
class Offsets {
  public:
    void add(size_t end) {
        if (end > size_t(std::numeric_limits<int32_t>::max()))
            throw std::length_error("the posts are too large for one column: read fewer at a time");
        ends_.push_back(int32_t(end));
    }

    const std::vector<int32_t>& values() const { return ends_; }

  private:
    std::vector<int32_t> ends_ = {0};
};

struct TextColumn {
    Validity validity;
    Offsets offsets;
    std::string data;

    void add(const std::optional<Text>& text) {
        if (text) data.append(*text);
        offsets.add(data.size());
        validity.add(text.has_value());
    }

    void add_joined(std::initializer_list<Text> parts) {
        for (const Text& part : parts) data.append(part);
        offsets.add(data.size());
        validity.add(true);
    }
};

template <typename Number>
struct NumbersColumn {
    Validity validity;
    std::vector<Number> values;

    void add(std::optional<Number> value) {
        values.push_back(value.value_or(0));
        validity.add(value.has_value());
    }
};

using NumberColumn = NumbersColumn<int64_t>;

// ---- To and from Python -------------------------------------------------------------------------

// Lengths and buffers of columns, each before what is inside it.
class Told {
  public:
    Told() : list_(PyList_New(0)) {}
    Told(const Told&) = delete;
    Told& operator=(const Told&) = delete;
    ~Told() { Py_XDECREF(list_); }

    PyObject* given_away() {
        PyObject* list = is_whole_ ? list_ : nullptr;
        if (list) list_ = nullptr;
        return list;
    }

    void tell(const Validity& column) {
        append(PyLong_FromSize_t(column.length()));
        if (column.has_nulls())
            tell(column.bits().data(), column.bits().size());
        else
            append(Py_NewRef(Py_None));
    }

    void tell(const Offsets& column) {
        tell(column.values().data(), column.values().size() * sizeof(int32_t));
    }

    void tell(const TextColumn& column) {
        tell(column.validity);
        tell(column.offsets);
        tell(column.data.data(), column.data.size());
    }

    template <typename Number>
    void tell(const NumbersColumn<Number>& column) {
        tell(column.validity);
        tell(column.values.data(), column.values.size() * sizeof(Number));
    }

  protected:
    void tell(const void* data, size_t size) {
        append(PyBytes_FromStringAndSize(static_cast<const char*>(data), Py_ssize_t(size)));
    }

    void append(PyObject* object) {
        if (!is_whole_ || !object || !list_ || PyList_Append(list_, object)) is_whole_ = false;
        Py_XDECREF(object);
    }

  private:
    PyObject* list_;
    bool is_whole_ = list_ != nullptr;
};

// The bytes of an object for as long as this is there.
class View {
  public:
    explicit View(PyObject* object) {
        is_held_ = PyObject_GetBuffer(object, &buffer_, PyBUF_SIMPLE) == 0;
    }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    ~View() {
        if (is_held_) PyBuffer_Release(&buffer_);
    }

    bool is_held() const { return is_held_; }
    const uint8_t* data() const { return static_cast<const uint8_t*>(buffer_.buf); }
    size_t size() const { return size_t(buffer_.len); }

  private:
    Py_buffer buffer_{};
    bool is_held_;
};

inline PyObject* raised(PyObject* kind, const std::string& what) {
    PyErr_SetString(kind, what.c_str());
    return nullptr;
}

}  // namespace
