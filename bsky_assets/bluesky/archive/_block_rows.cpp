// A block of the archive, unpacked, to the rows that something is made of, and when each happened.
//
// A block is hostile input. It is taken here only if it is whole and all its texts are UTF-8; of any
// other nothing is taken, and blocks.py says what is wrong with it. Nothing is read that was not
// seen to be there, and what is allocated is at most a small multiple of the bytes of the block.
// What is wanted and how it is dated is said in dating.py, by columns of the whole block; that is
// used where this is not compiled, and the rows are the same.
//
// Source: docs/README.md of bluesky-social/jetstream, section 3.2; https://atproto.com/specs/tid.

#include "../_columns.hpp"

#include <array>

namespace {

constexpr size_t kCountBytes = 4;
constexpr std::array<size_t, 4> kNumberBytes = {8, 8, 8, 1};
constexpr std::array<size_t, 5> kLengthBytes = {1, 2, 1, 1, 4};
constexpr size_t kRowBytes = 8 + 8 + 8 + 1 + 1 + 2 + 1 + 1 + 4;

constexpr uint8_t kCreate = 1, kUpdate = 2, kDelete = 3, kAccount = 5, kSync = 6;
constexpr Text kPost = "app.bsky.feed.post";

// Thrown at a block that is not whole.
struct Damaged {};

template <typename Number>
Number number_at(const uint8_t* bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(Number); ++i) value |= uint64_t(bytes[i]) << 8 * i;
    return Number(value);
}

// The texts of one column, which stand one after the other, from the first row on.
class Texts {
  public:
    Texts() = default;
    Texts(const uint8_t* lengths, size_t size) : lengths_(lengths), size_(size) {}

    // How many bytes those of `count` rows are.
    uint64_t total(size_t count) const {
        uint64_t bytes = 0;
        for (size_t i = 0; i < count; ++i) bytes += length(i);
        return bytes;
    }

    void begin(const uint8_t* data) { at_ = data; }

    Text next(size_t row) {
        const Text text(reinterpret_cast<const char*>(at_), length(row));
        at_ += text.size();
        return text;
    }

  private:
    size_t length(size_t row) const {
        const uint8_t* at = lengths_ + row * size_;
        return size_ == 1 ? *at : size_ == 2 ? number_at<uint16_t>(at) : number_at<uint32_t>(at);
    }

    const uint8_t* lengths_ = nullptr;
    size_t size_ = 0;
    const uint8_t* at_ = nullptr;
};

// ---- Dating -------------------------------------------------------------------------------------

constexpr int64_t kMinute = 60 * 1'000'000;
constexpr int64_t kLive = 10 * kMinute, kAhead = 5 * kMinute;
constexpr int64_t kEarliest = 1'667'260'800LL * 1'000'000;
constexpr int64_t kNotDated = -1;
constexpr size_t kTidBytes = 13, kClockDigits = 11;
constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> digits() {
    std::array<uint8_t, 256> found{};
    for (auto& one : found) one = kNoDigit;
    uint8_t value = 0;
    for (const char digit : std::string_view("234567abcdefghijklmnopqrstuvwxyz"))
        found[uint8_t(digit)] = value++;
    return found;
}
constexpr auto kDigits = digits();

// The microseconds since the epoch in a TID; not dated, if it is none.
int64_t clock_of(Text tid) {
    if (tid.size() != kTidBytes) return kNotDated;
    uint64_t clock = 0;
    uint8_t seen = kDigits[uint8_t(tid[0])];
    seen = uint8_t(seen | seen << 1);
    for (size_t i = 0; i < kTidBytes; ++i) {
        const uint8_t digit = kDigits[uint8_t(tid[i])];
        seen |= digit;
        if (i < kClockDigits) clock = clock << 5 | digit;
    }
    return seen < 32 ? int64_t(clock) : kNotDated;
}

// The same as numpy, where a number does not fit: it turns round.
int64_t sum(int64_t one, int64_t other) { return int64_t(uint64_t(one) + uint64_t(other)); }

bool is_near(int64_t one, int64_t other) {
    const int64_t apart = int64_t(uint64_t(one) - uint64_t(other));
    return (apart < 0 ? int64_t(0 - uint64_t(apart)) : apart) <= kLive;
}

// What tells when a row happened.
struct Clocks {
    int64_t witnessed, rev, key;

    bool is_prompt() const { return rev != kNotDated && is_near(witnessed, rev); }
    bool is_fresh() const { return is_prompt() && (key == kNotDated || is_near(rev, key)); }
    int64_t by_key() const {
        return key >= kEarliest && key <= sum(witnessed, kAhead) ? key : kNotDated;
    }
};

// ---- Rows ---------------------------------------------------------------------------------------

struct Row {
    uint64_t seq;
    int64_t witnessed, imported;
    uint8_t kind;
    Text collection, did, rkey, rev, payload;

    bool is_put() const { return kind == kCreate || kind == kUpdate; }
    bool is_wanted() const { return kind == kAccount || (kind <= kDelete && collection == kPost); }
    Clocks clocks() const { return {witnessed, clock_of(rev), clock_of(rkey)}; }
};

struct RowColumns {
    NumbersColumn<uint64_t> seq;
    NumberColumn witnessed, imported;
    NumbersColumn<uint8_t> kind;
    TextColumn collection, did, rkey, rev, payload;
    NumberColumn at;
    TextColumn dated_by;
    // Of rows that are live unless their account came again: when they happened if it did.
    NumberColumn if_again;
    // The accounts that came again.
    TextColumn again;

    void add(const Row& row, bool is_live_block) {
        seq.add(row.seq);
        witnessed.add(row.witnessed);
        imported.add(row.imported);
        kind.add(row.kind);
        collection.add(row.collection);
        did.add(row.did);
        rkey.add(row.rkey);
        rev.add(row.rev);
        payload.add(row.payload.empty() ? std::nullopt : std::optional<Text>(row.payload));
        date(row, is_live_block);
    }

  private:
    void date(const Row& row, bool is_live_block) {
        const Clocks clocks = row.clocks();
        const bool is_fresh = clocks.is_fresh();
        const bool is_brought = row.is_put() && !is_fresh && is_live_block && clocks.is_prompt();
        const bool is_live = !row.is_put() || is_fresh || is_brought;
        const bool is_imported = row.imported > 0;
        const int64_t when = is_imported ? row.imported
                             : is_live   ? row.witnessed
                                         : clocks.by_key();
        const Text how = is_imported ? "indexed_at" : is_live ? "witnessed_at" : "record_key";
        at.add(when);
        dated_by.add(when == kNotDated ? std::nullopt : std::optional<Text>(how));
        const bool may_be_again = is_brought && !is_imported;
        if_again.add(may_be_again ? std::optional<int64_t>(clocks.by_key()) : std::nullopt);
    }
};

class Block {
  public:
    Block(const uint8_t* data, size_t size) {
        if (size < kCountBytes) throw Damaged();
        count_ = number_at<uint32_t>(data);
        if (count_ > (size - kCountBytes) / kRowBytes) throw Damaged();
        const uint8_t* at = data + kCountBytes;
        for (size_t i = 0; i < kNumberBytes.size(); at += count_ * kNumberBytes[i++])
            numbers_[i] = at;
        for (size_t i = 0; i < kLengthBytes.size(); at += count_ * kLengthBytes[i++])
            texts_[i] = Texts(at, kLengthBytes[i]);
        uint64_t left = size - size_t(at - data);
        for (size_t i = 0; i < texts_.size(); ++i) {
            const uint64_t bytes = texts_[i].total(count_);
            if (bytes > left) throw Damaged();
            const bool is_binary = i + 1 == texts_.size();
            if (!is_binary && !are_texts(texts_[i], at, size_t(bytes))) throw Damaged();
            texts_[i].begin(at);
            at += bytes;
            left -= bytes;
        }
        if (left) throw Damaged();
    }

    template <typename Use>
    void each(const Use& use) const {
        auto texts = texts_;
        for (size_t row = 0; row < count_; ++row) {
            const auto number = [&](size_t column) {
                return number_at<uint64_t>(numbers_[column] + row * 8);
            };
            Row read{number(0), int64_t(number(1)), int64_t(number(2)), numbers_[3][row], {}, {},
                     {},        {},                 {}};
            read.collection = texts[0].next(row);
            read.did = texts[1].next(row);
            read.rkey = texts[2].next(row);
            read.rev = texts[3].next(row);
            read.payload = texts[4].next(row);
            use(read);
        }
    }

  private:
    bool are_texts(Texts texts, const uint8_t* data, size_t size) const {
        bool is_ascii = true;
        for (size_t i = 0; i < size; ++i) is_ascii &= data[i] < 0x80;
        texts.begin(data);
        for (size_t row = 0; !is_ascii && row < count_; ++row) {
            const Text text = texts.next(row);
            if (!is_text(reinterpret_cast<const uint8_t*>(text.data()), text.size())) return false;
        }
        return true;
    }

    size_t count_;
    std::array<const uint8_t*, 4> numbers_;
    std::array<Texts, 5> texts_;
};

void read_rows(RowColumns& rows, const View& body) {
    const Block block(body.data(), body.size());
    size_t puts = 0, fresh = 0;
    block.each([&](const Row& row) {
        if (row.kind == kSync) rows.again.add(row.did);
        if (!row.is_put()) return;
        ++puts;
        fresh += row.clocks().is_fresh();
    });
    const bool is_live_block = puts == 0 || fresh * 2 > puts;
    block.each([&](const Row& row) {
        if (row.is_wanted()) rows.add(row, is_live_block);
    });
}

// ---- To Python ----------------------------------------------------------------------------------

PyObject* told_of(RowColumns& rows) {
    Told told;
    told.tell(rows.seq);
    told.tell(rows.witnessed);
    told.tell(rows.imported);
    told.tell(rows.kind);
    for (auto* texts : {&rows.collection, &rows.did, &rows.rkey, &rows.rev, &rows.payload})
        told.tell(*texts);
    told.tell(rows.at);
    told.tell(rows.dated_by);
    told.tell(rows.if_again);
    told.tell(rows.again);
    return told.given_away();
}

PyObject* read(PyObject*, PyObject* given) {
    const View body(given);
    if (!body.is_held()) return nullptr;
    RowColumns rows;
    bool is_damaged = false, is_too_large = false;
    Py_BEGIN_ALLOW_THREADS
    try {
        read_rows(rows, body);
    } catch (const Damaged&) {
        is_damaged = true;
    } catch (const std::exception&) {  // of memory, or of more than a column holds
        is_too_large = true;
    }
    Py_END_ALLOW_THREADS
    if (is_too_large) return PyErr_NoMemory();
    if (is_damaged) Py_RETURN_NONE;
    return told_of(rows);
}

PyMethodDef kMethods[] = {
    {"read", read, METH_O,
     "read(body): lengths and buffers of the columns of the rows of a block that are wanted, and "
     "of the accounts that came again; None if it is not whole."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef kModule = {PyModuleDef_HEAD_INIT,
                       "_block_rows",
                       "Blocks of the archive to the buffers of Arrow columns; see block_rows.py.",
                       -1,
                       kMethods,
                       nullptr,
                       nullptr,
                       nullptr,
                       nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__block_rows() {
    PyObject* module = PyModule_Create(&kModule);
    if (module && PyModule_AddStringConstant(module, "SOURCE", SOURCE)) Py_CLEAR(module);
    return module;
}
