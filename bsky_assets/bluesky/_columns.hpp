// Buffers of Arrow columns that are filled row by row, and how Python is told of them.
//
// What does not belong here: what is read into them.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifndef SOURCE  // which setup.py defines
#error "SOURCE is the SHA-256 of the source, by which compiled.py knows what was compiled"
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
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

// Items that stand one after the other. They grow in place where that can be, and are given away
// without a copy: copies of large ones would take longer than it does to read what is in them.
template <typename Item>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(items_); }

    void add(Item item) {
        if (size_ == room_) grow(1);
        items_[size_++] = item;
    }

    void add(const Item* items, size_t count) {
        if (count > room_ - size_) grow(count);
        if (count) std::memcpy(items_ + size_, items, count * sizeof(Item));
        size_ += count;
    }

    Item& last() { return items_[size_ - 1]; }
    size_t size() const { return size_; }

    // What is in it, which is to be freed by whoever takes it. It has nothing then.
    Item* given_away() {
        size_ = room_ = 0;
        return std::exchange(items_, nullptr);
    }

  private:
    void grow(size_t more) {
        constexpr size_t kLeast = 64, kMost = std::numeric_limits<size_t>::max() / sizeof(Item) / 2;
        if (room_ > kMost || more > kMost - size_) throw std::bad_alloc();
        const size_t room = std::max({kLeast, 2 * room_, size_ + more});
        void* const moved = std::realloc(items_, room * sizeof(Item));
        if (!moved) throw std::bad_alloc();
        items_ = static_cast<Item*>(moved);
        room_ = room;
    }

    Item* items_ = nullptr;
    size_t size_ = 0, room_ = 0;
};

// Which places of a column have a value.
class Validity {
  public:
    void add(bool is_valid) {
        if (length_ % 8 == 0) bits_.add(0);
        if (is_valid)
            bits_.last() |= uint8_t(1 << length_ % 8);
        else
            has_nulls_ = true;
        ++length_;
    }

    size_t length() const { return length_; }
    bool has_nulls() const { return has_nulls_; }
    Buffer<uint8_t>& bits() { return bits_; }

  private:
    Buffer<uint8_t> bits_;
    size_t length_ = 0;
    bool has_nulls_ = false;
};

// Where in what is inside it each value of a column begins and ends.
class Offsets {
  public:
    Offsets() { ends_.add(0); }

    void add(size_t end) {
        if (end > size_t(std::numeric_limits<int32_t>::max()))
            throw std::length_error("the posts are too large for one column: read fewer at a time");
        ends_.add(int32_t(end));
    }

    Buffer<int32_t>& values() { return ends_; }

  private:
    Buffer<int32_t> ends_;
};

struct TextColumn {
    Validity validity;
    Offsets offsets;
    Buffer<char> data;

    void add(const std::optional<Text>& text) {
        if (text) data.add(text->data(), text->size());
        offsets.add(data.size());
        validity.add(text.has_value());
    }

    void add_joined(std::initializer_list<Text> parts) {
        for (const Text& part : parts) data.add(part.data(), part.size());
        offsets.add(data.size());
        validity.add(true);
    }
};

template <typename Number>
struct NumbersColumn {
    Validity validity;
    Buffer<Number> values;

    void add(std::optional<Number> value) {
        values.add(value.value_or(0));
        validity.add(value.has_value());
    }
};

using NumberColumn = NumbersColumn<int64_t>;

// ---- To and from Python -------------------------------------------------------------------------

// What Python has of a buffer that was given away.
struct Given {
    PyObject_HEAD void* items;
    size_t bytes;
};

inline int look_into(PyObject* given, Py_buffer* view, int flags) {
    const auto* self = reinterpret_cast<Given*>(given);
    static char nothing;
    return PyBuffer_FillInfo(view, given, self->items ? self->items : &nothing,
                             Py_ssize_t(self->bytes), 1, flags);
}

inline void free_given(PyObject* given) {
    std::free(reinterpret_cast<Given*>(given)->items);
    PyObject_Free(given);
}

inline PyTypeObject* given_type() {
    static PyBufferProcs buffers = {look_into, nullptr};
    static PyTypeObject type = [] {
        PyTypeObject made = {PyVarObject_HEAD_INIT(nullptr, 0)};
        made.tp_name = "bsky_assets.bluesky.Given";
        made.tp_doc = "A buffer of a column.";
        made.tp_basicsize = sizeof(Given);
        made.tp_flags = Py_TPFLAGS_DEFAULT;
        made.tp_as_buffer = &buffers;
        made.tp_dealloc = free_given;
        return made;
    }();
    return PyType_Ready(&type) ? nullptr : &type;
}

template <typename Item>
PyObject* given_to_python(Buffer<Item>& buffer) {
    PyTypeObject* const type = given_type();
    Given* const given = type ? PyObject_New(Given, type) : nullptr;
    if (!given) return nullptr;
    given->bytes = buffer.size() * sizeof(Item);
    given->items = buffer.given_away();
    return reinterpret_cast<PyObject*>(given);
}

// Lengths and buffers of columns, each before what is inside it; the columns are empty then.
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

    void tell(Validity& column) {
        append(PyLong_FromSize_t(column.length()));
        append(column.has_nulls() ? given_to_python(column.bits()) : Py_NewRef(Py_None));
    }

    void tell(Offsets& column) { append(given_to_python(column.values())); }

    void tell(TextColumn& column) {
        tell(column.validity);
        tell(column.offsets);
        append(given_to_python(column.data));
    }

    template <typename Number>
    void tell(NumbersColumn<Number>& column) {
        tell(column.validity);
        append(given_to_python(column.values));
    }

  protected:
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
