// Posts' records, DAG-CBOR as it came, to the buffers of Arrow columns: nothing is made for each row.
//
// A record is hostile input. It is taken here only if all of it is canonical DAG-CBOR of small
// depth, every field of the contract has the shape of the lexicon, and what other fields there are
// have texts; any other record is unusual,
// is skipped, and is read by records.py, which says what becomes of it. So a doubt costs time and
// changes no row. Nothing is read that was not seen to be there, nothing is allocated by a count that
// a record claims, and what is allocated is at most a small multiple of the bytes of the records.
// Which columns there are, and how they become Arrow arrays, is said in post_columns.py.
//
// Source: https://ipld.io/specs/codecs/dag-cbor/spec/, FIPS 180-4 (SHA-256), and the lexicons
// app.bsky.feed.post, app.bsky.embed.*, app.bsky.richtext.facet, com.atproto.label.defs#selfLabels.

#include "_columns.hpp"

#include <algorithm>
#include <array>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_SHA_INSTRUCTIONS 1
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

// ---- SHA-256 ------------------------------------------------------------------------------------

constexpr std::array<uint32_t, 64> kRounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using Digest = std::array<uint32_t, 8>;
constexpr Digest kStart = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
constexpr size_t kChunk = 64;

uint32_t turned(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

void hash_plainly(Digest& digest, const uint8_t* data, size_t chunks) {
    for (; chunks; --chunks, data += kChunk) {
        uint32_t w[64];
        for (int i = 0; i < 16; ++i)
            w[i] = uint32_t(data[4 * i]) << 24 | uint32_t(data[4 * i + 1]) << 16 |
                   uint32_t(data[4 * i + 2]) << 8 | uint32_t(data[4 * i + 3]);
        for (int i = 16; i < 64; ++i) {
            uint32_t early = w[i - 15], late = w[i - 2];
            w[i] = w[i - 16] + (turned(early, 7) ^ turned(early, 18) ^ early >> 3) + w[i - 7] +
                   (turned(late, 17) ^ turned(late, 19) ^ late >> 10);
        }
        Digest s = digest;
        for (int i = 0; i < 64; ++i) {
            uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) +
                           ((s[4] & s[5]) ^ (~s[4] & s[6])) + kRounds[i] + w[i];
            uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) +
                           ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            s = {one + two, s[0], s[1], s[2], s[3] + one, s[4], s[5], s[6]};
        }
        for (int i = 0; i < 8; ++i) digest[i] += s[i];
    }
}

#ifdef HAS_SHA_INSTRUCTIONS
__attribute__((target("sha,sse4.1,ssse3"))) void hash_by_instructions(Digest& digest,
                                                                       const uint8_t* data,
                                                                       size_t chunks) {
    const __m128i swapped = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    // The instructions want the words of the digest as ABEF and CDGH.
    __m128i low = _mm_shuffle_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(digest.data())), 0xb1);
    __m128i high = _mm_shuffle_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(digest.data() + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8);
    __m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; chunks; --chunks, data += kChunk) {
        __m128i w[4];
        for (int i = 0; i < 4; ++i)
            w[i] = _mm_shuffle_epi8(
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * i)), swapped);
        const __m128i abef_before = abef, cdgh_before = cdgh;
        for (int i = 0; i < 16; ++i) {
            if (i >= 4) {
                __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]),
                                             _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            }
            __m128i sum = _mm_add_epi32(
                w[i & 3], _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kRounds[4 * i])));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);
    high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest.data()), _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest.data() + 4), _mm_alignr_epi8(high, low, 8));
}

bool find_sha_instructions() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3)) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29));
}
#else
constexpr auto hash_by_instructions = hash_plainly;
bool find_sha_instructions() { return false; }
#endif

bool has_sha_instructions() {
    static const bool has_them = find_sha_instructions();  // asking takes microseconds in a guest
    return has_them;
}

std::array<uint8_t, 32> sha256(const uint8_t* data, size_t size, bool by_instructions) {
    const auto hash = by_instructions ? hash_by_instructions : hash_plainly;
    Digest digest = kStart;
    const size_t whole = size / kChunk, rest = size % kChunk;
    hash(digest, data, whole);
    uint8_t last[2 * kChunk] = {};
    if (rest) std::memcpy(last, data + whole * kChunk, rest);
    last[rest] = 0x80;
    const size_t chunks = rest < kChunk - 8 ? 1 : 2;
    const uint64_t bits = uint64_t(size) * 8;
    for (int i = 0; i < 8; ++i) last[chunks * kChunk - 1 - i] = uint8_t(bits >> 8 * i);
    hash(digest, last, chunks);
    std::array<uint8_t, 32> bytes;
    for (int i = 0; i < 32; ++i) bytes[i] = uint8_t(digest[i / 4] >> (24 - 8 * (i % 4)));
    return bytes;
}

// ---- CIDs ---------------------------------------------------------------------------------------

constexpr size_t kCidBytes = 36;
constexpr size_t kCidCharacters = 1 + (kCidBytes * 8 + 4) / 5;

// A CID in base32, as it is written.
struct CidText {
    std::array<char, kCidCharacters> characters;

    explicit CidText(const uint8_t* cid) {
        characters[0] = 'b';
        uint32_t bits = 0;
        int held = 0;
        size_t at = 1;
        for (size_t i = 0; i < kCidBytes; ++i) {
            bits = bits << 8 | cid[i];
            for (held += 8; held >= 5; held -= 5) put(at, bits >> (held - 5));
        }
        put(at, bits << (5 - held));
    }

    std::string_view view() const { return {characters.data(), characters.size()}; }

  private:
    void put(size_t& at, uint32_t five) {
        characters[at++] = "abcdefghijklmnopqrstuvwxyz234567"[five & 31];
    }
};

// ---- DAG-CBOR -----------------------------------------------------------------------------------

// Thrown at whatever this reader does not take.
struct Unusual {};

enum Major : uint8_t { kNatural, kNegative, kBytes, kText, kList, kMap, kTag, kOther };

constexpr int kDepth = 32;
constexpr size_t kRecordBytes = 1 << 20;
constexpr uint64_t kLargest = uint64_t(std::numeric_limits<int64_t>::max());
constexpr uint8_t kFalse = 0xf4, kNull = 0xf6;
constexpr size_t kLinkBytes = 1 + kCidBytes;

// What is left of a value's bytes. Every byte that is read goes through `taken`.
class Cursor {
  public:
    Cursor() = default;
    Cursor(const uint8_t* data, size_t size) : at_(data), left_(size) {}

    const uint8_t* at() const { return at_; }
    size_t left() const { return left_; }

    const uint8_t* taken(uint64_t size) {
        if (size > left_) throw Unusual();
        const uint8_t* start = at_;
        at_ += size;
        left_ -= size_t(size);
        return start;
    }

    uint8_t next() const {
        if (!left_) throw Unusual();
        return *at_;
    }

  private:
    const uint8_t* at_ = nullptr;
    size_t left_ = 0;
};

struct Head {
    Major major;
    uint64_t value;
};

// What follows the first byte of an item whose value is not in it.
Head long_head(uint8_t first, Cursor& from) {
    const auto major = Major(first >> 5);
    const int low = first & 31;
    if (major == kOther) {
        if (first < kFalse || first > kNull) throw Unusual();
        return {major, first};
    }
    if (low < 24 || low > 27) throw Unusual();
    const int size = 1 << (low - 24);
    const uint8_t* bytes = from.taken(uint64_t(size));
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | bytes[i];
    const uint64_t shorter = size == 1 ? 23 : (uint64_t(1) << (size * 4)) - 1;
    if (value <= shorter) throw Unusual();
    return {major, value};
}

// The first bytes of an item, in their shortest form; of numbers that are none only false to null.
inline Head head(Cursor& from) {
    const uint8_t first = *from.taken(1);
    const auto major = Major(first >> 5);
    if (major != kOther && (first & 31) < 24) return {major, uint64_t(first & 31)};
    return long_head(first, from);
}

void check_text(const uint8_t* text, size_t size) {
    if (!is_text(text, size)) throw Unusual();
}

void check_link(Cursor& from) {
    const Head link = head(from);
    if (link.major != kBytes || link.value != kLinkBytes) throw Unusual();
    const uint8_t* bytes = from.taken(kLinkBytes);
    const bool is_known = bytes[0] == 0 && bytes[1] == 1 && (bytes[2] == 0x71 || bytes[2] == 0x55) &&
                          bytes[3] == 0x12 && bytes[4] == 0x20;
    if (!is_known) throw Unusual();
}

Text text_of(Cursor& from) {
    const Head text = head(from);
    if (text.major != kText) throw Unusual();
    const uint8_t* start = from.taken(text.value);
    return {reinterpret_cast<const char*>(start), size_t(text.value)};
}

bool is_before(Text one, Text other) {
    return one.size() != other.size() ? one.size() < other.size() : one < other;
}

// The keys of a map, which rise and are text.
class Keys {
  public:
    Text next(Cursor& from) {
        const Text key = text_of(from);
        check_text(reinterpret_cast<const uint8_t*>(key.data()), key.size());
        if (before_ && !is_before(*before_, key)) throw Unusual();
        before_ = key;
        return key;
    }

  private:
    std::optional<Text> before_;
};

// See that an item is canonical DAG-CBOR without floats, and go past it.
void check(Cursor& from, int depth) {
    if (!depth) throw Unusual();
    const Head item = head(from);
    switch (item.major) {
        case kNatural:
        case kNegative:
            if (item.value > kLargest) throw Unusual();
            break;
        case kBytes:
            from.taken(item.value);
            break;
        case kText:
            check_text(from.taken(item.value), size_t(item.value));
            break;
        case kList:
            for (uint64_t i = 0; i < item.value; ++i) check(from, depth - 1);
            break;
        case kMap: {
            Keys keys;
            for (uint64_t i = 0; i < item.value; ++i) {
                keys.next(from);
                check(from, depth - 1);
            }
            break;
        }
        case kTag:
            if (item.value != 42) throw Unusual();
            check_link(from);
            break;
        case kOther:
            break;
    }
}

// Go past an item, but not past those inside it; returns how many these are.
uint64_t open_item(Cursor& from) {
    const Head item = head(from);
    switch (item.major) {
        case kBytes:
        case kText:
            from.taken(item.value);
            return 0;
        case kTag:
            return 1;
        case kList:
        case kMap:
            if (item.value > from.left()) throw Unusual();
            return item.major == kMap ? 2 * item.value : item.value;
        default:
            return 0;
    }
}

// The bytes of the next item, which was checked before, and go past it.
Cursor item_of(Cursor& from) {
    const Cursor start = from;
    for (uint64_t waiting = open_item(from); waiting; --waiting) waiting += open_item(from);
    return {start.at(), start.left() - from.left()};
}

// The values of some fields of a map; one that is not there has no bytes.
template <size_t N>
using Fields = std::array<Cursor, N>;

struct Field {
    Text name;
    Cursor value;
};

// Those of a map whose keys and values are read by `key_of` and `value_of`, and then are behind
// `from`; those of other names go to `others`, if that is there.
template <size_t N, typename KeyOf, typename ValueOf>
Fields<N> fields_by(Cursor& from, const std::array<Text, N>& names, std::vector<Field>* others,
                    const KeyOf& key_of, const ValueOf& value_of) {
    Fields<N> found;
    const Head map = head(from);
    if (map.major != kMap) throw Unusual();
    for (uint64_t i = 0; i < map.value; ++i) {
        const Text key = key_of(from);
        const Cursor value = value_of(from);
        size_t at = 0;
        while (at < N && names[at] != key) ++at;
        if (at < N)
            found[at] = value;
        else if (others)
            others->push_back({key, value});
    }
    return found;
}

// Of a map that was checked before.
template <size_t N>
Fields<N> fields_of(Cursor from, const std::array<Text, N>& names) {
    return fields_by<N>(from, names, nullptr, text_of, item_of);
}

// Of a record, which is checked as it is read, with all that is inside it.
template <size_t N>
Fields<N> checked_fields_of(Cursor record, const std::array<Text, N>& names,
                            std::vector<Field>& others) {
    Keys keys;
    const auto key_of = [&](Cursor& from) { return keys.next(from); };
    const auto value_of = [](Cursor& from) {
        const Cursor start = from;
        check(from, kDepth - 1);
        return Cursor(start.at(), start.left() - from.left());
    };
    const auto found = fields_by<N>(record, names, &others, key_of, value_of);
    if (record.left()) throw Unusual();
    return found;
}

bool is_there(const Cursor& value) { return value.left() > 0; }

// The number of items in a list; `from` goes on at the first.
uint64_t list_of(Cursor& from) {
    const Head list = head(from);
    if (list.major != kList) throw Unusual();
    return list.value;
}

Text whole_text(Cursor value) { return text_of(value); }

int64_t place_of(Cursor value) {
    const Head number = head(value);
    if (number.major != kNatural || number.value > kLargest) throw Unusual();
    return int64_t(number.value);
}

// ---- Posts --------------------------------------------------------------------------------------

using Texts = std::vector<Text>;

struct Shape {
    int64_t width, height;
};

struct Medium {
    Text kind;
    std::optional<CidText> cid;
    Text cid_text;
    Text mime_type;
    Text alt;
    std::optional<Shape> shape;

    Text written_cid() const { return cid ? cid->view() : cid_text; }
};

struct Embed {
    Text kind;
    std::optional<Text> media_kind;
    bool has_media = false;
    std::vector<Medium> media;
    std::optional<Text> link_uri, link_title, link_description;
    Texts alt_texts;
    std::optional<Text> quoted_uri, quoted_cid;
};

struct Facet {
    int64_t start, end;
    Text kind, value;
};

// What of a record goes into columns. Texts are those of the record itself.
struct Post {
    Text created_at, text;
    std::optional<Embed> embed;
    std::optional<std::vector<Facet>> facets;
    std::optional<Texts> labels, langs, tags;
    std::optional<Text> reply_parent, reply_root;
    std::optional<std::string> unknown;
};

Texts read_texts(Cursor from) {
    Texts texts;
    for (uint64_t left = list_of(from); left; --left) texts.push_back(text_of(from));
    return texts;
}

Texts read_labels(const Cursor& value) {
    auto [values] = fields_of<1>(value, {"values"});
    Texts texts;
    for (uint64_t left = list_of(values); left; --left)
        texts.push_back(whole_text(fields_of<1>(item_of(values), {"val"})[0]));
    return texts;
}

Text read_uri(const Cursor& value) { return whole_text(fields_of<1>(value, {"uri"})[0]); }

void read_features(Cursor features, const Cursor& index, std::vector<Facet>& facets) {
    const auto [start, end] = fields_of<2>(index, {"byteStart", "byteEnd"});
    const int64_t first = place_of(start), last = place_of(end);
    for (uint64_t left = list_of(features); left; --left) {
        const auto [type, did, uri, tag] =
            fields_of<4>(item_of(features), {"$type", "did", "uri", "tag"});
        const Text kind = whole_text(type);
        Cursor value;
        if (kind == "app.bsky.richtext.facet#mention") value = did;
        if (kind == "app.bsky.richtext.facet#link") value = uri;
        if (kind == "app.bsky.richtext.facet#tag") value = tag;
        facets.push_back({first, last, kind, whole_text(value)});
    }
}

std::vector<Facet> read_facets(Cursor from) {
    std::vector<Facet> facets;
    for (uint64_t left = list_of(from); left; --left) {
        const auto [index, features] = fields_of<2>(item_of(from), {"index", "features"});
        read_features(features, index, facets);
    }
    return facets;
}

Shape read_shape(const Cursor& value) {
    const auto [width, height] = fields_of<2>(value, {"width", "height"});
    return {place_of(width), place_of(height)};
}

// The CID that a blob links to: its link, or, of blobs of old, its text.
void read_cid(Cursor link, const Cursor& text, Medium& medium) {
    if (!is_there(link)) {
        medium.cid_text = whole_text(text);
        return;
    }
    if (head(link).major != kTag) throw Unusual();
    if (head(link).value != kLinkBytes) throw Unusual();
    medium.cid.emplace(link.taken(kLinkBytes) + 1);
}

Medium read_medium(Text kind, const Cursor& blob, const Cursor& alt, const Cursor& shape) {
    Medium medium;
    medium.kind = kind;
    const auto [link, text, type] = fields_of<3>(blob, {"ref", "cid", "mimeType"});
    read_cid(link, text, medium);
    medium.mime_type = whole_text(type);
    if (is_there(alt)) medium.alt = whole_text(alt);
    if (is_there(shape)) medium.shape = read_shape(shape);
    return medium;
}

void read_pictures(Cursor items, Embed& embed) {
    embed.has_media = true;
    for (uint64_t left = list_of(items); left; --left) {
        const auto [image, alt, shape] =
            fields_of<3>(item_of(items), {"image", "alt", "aspectRatio"});
        embed.media.push_back(read_medium("image", image, alt, shape));
        embed.alt_texts.push_back(embed.media.back().alt);
    }
}

void read_video(const Cursor& value, Embed& embed) {
    const auto [video, alt, shape] = fields_of<3>(value, {"video", "alt", "aspectRatio"});
    embed.has_media = true;
    embed.media.push_back(read_medium("video", video, alt, shape));
    if (!embed.media.back().alt.empty()) embed.alt_texts.push_back(embed.media.back().alt);
}

void read_link(const Cursor& value, Embed& embed) {
    const auto [uri, title, description] = fields_of<3>(value, {"uri", "title", "description"});
    embed.link_uri = whole_text(uri);
    embed.link_title = whole_text(title);
    embed.link_description = whole_text(description);
}

void read_quote(const Cursor& value, Embed& embed) {
    const auto [uri, cid] = fields_of<2>(value, {"uri", "cid"});
    embed.quoted_uri = whole_text(uri);
    embed.quoted_cid = whole_text(cid);
}

void read_media(Text kind, const Cursor& value, Embed& embed) {
    embed.media_kind = kind;
    if (kind == "app.bsky.embed.images")
        read_pictures(fields_of<1>(value, {"images"})[0], embed);
    else if (kind == "app.bsky.embed.gallery")
        read_pictures(fields_of<1>(value, {"items"})[0], embed);
    else if (kind == "app.bsky.embed.video")
        read_video(value, embed);
    else if (kind == "app.bsky.embed.external")
        read_link(fields_of<1>(value, {"external"})[0], embed);
    else
        throw Unusual();
}

Text type_of(const Cursor& value) { return whole_text(fields_of<1>(value, {"$type"})[0]); }

Embed read_embed(const Cursor& value) {
    Embed embed;
    const auto [type, record, media] = fields_of<3>(value, {"$type", "record", "media"});
    embed.kind = whole_text(type);
    if (embed.kind == "app.bsky.embed.record") {
        read_quote(record, embed);
    } else if (embed.kind == "app.bsky.embed.recordWithMedia") {
        read_quote(fields_of<1>(record, {"record"})[0], embed);
        read_media(type_of(media), media, embed);
    } else {
        read_media(embed.kind, value, embed);
    }
    return embed;
}

void write_json(Text text, std::string& to) {
    to += '"';
    for (const char character : text) {
        const size_t place = Text("\"\\\b\f\n\r\t").find(character);
        if (place != Text::npos) {
            to += {'\\', "\"\\bfnrt"[place]};
        } else if (uint8_t(character) < 0x20) {
            constexpr Text kHex = "0123456789abcdef";
            to += "\\u00";
            to += {kHex[uint8_t(character) >> 4], kHex[uint8_t(character) & 15]};
        } else {
            to += character;
        }
    }
    to += '"';
}

// Fields that no column is for, as json_text.py writes them; here they are texts alone.
std::string read_unknown(std::vector<Field>& fields) {
    std::sort(fields.begin(), fields.end(),
              [](const Field& one, const Field& other) { return one.name < other.name; });
    std::string json;
    for (const Field& field : fields) {
        if (field.name == "entities") throw Unusual();
        json += json.empty() ? '{' : ',';
        write_json(field.name, json);
        json += ':';
        write_json(whole_text(field.value), json);
    }
    return json + '}';
}

Post read_post(const uint8_t* data, size_t size) {
    if (size > kRecordBytes) throw Unusual();
    std::vector<Field> others;
    const auto [type, created_at, text, embed, facets, labels, langs, reply, tags] =
        checked_fields_of<9>(Cursor(data, size),
                             {"$type", "createdAt", "text", "embed", "facets", "labels", "langs",
                              "reply", "tags"},
                             others);
    if (whole_text(type) != "app.bsky.feed.post") throw Unusual();
    Post post;
    post.created_at = whole_text(created_at);
    post.text = whole_text(text);
    if (!others.empty()) post.unknown = read_unknown(others);
    if (is_there(embed)) post.embed = read_embed(embed);
    if (is_there(facets)) post.facets = read_facets(facets);
    if (is_there(labels)) post.labels = read_labels(labels);
    if (is_there(langs)) post.langs = read_texts(langs);
    if (is_there(tags)) post.tags = read_texts(tags);
    if (is_there(reply)) {
        const auto [parent, root] = fields_of<2>(reply, {"parent", "root"});
        post.reply_parent = read_uri(parent);
        post.reply_root = read_uri(root);
    }
    return post;
}

// ---- Columns ------------------------------------------------------------------------------------

struct TextsColumn {
    Validity validity;
    Offsets offsets;
    TextColumn items;

    void add(const Texts* texts) {
        if (texts)
            for (const Text& text : *texts) items.add(text);
        offsets.add(items.validity.length());
        validity.add(texts != nullptr);
    }
};

const Texts* given(const std::optional<Texts>& texts) { return texts ? &*texts : nullptr; }

struct MediaColumn {
    Validity validity;
    Offsets offsets;
    Validity items, shapes;
    TextColumn kind, cid, mime_type, alt;
    NumberColumn width, height;

    void add(const std::vector<Medium>* media) {
        if (media)
            for (const Medium& medium : *media) add(medium);
        offsets.add(items.length());
        validity.add(media != nullptr);
    }

    void add(const Medium& medium) {
        items.add(true);
        kind.add(medium.kind);
        cid.add(medium.written_cid());
        mime_type.add(medium.mime_type);
        alt.add(medium.alt.empty() ? std::nullopt : std::optional<Text>(medium.alt));
        shapes.add(medium.shape.has_value());
        width.add(medium.shape ? std::optional<int64_t>(medium.shape->width) : std::nullopt);
        height.add(medium.shape ? std::optional<int64_t>(medium.shape->height) : std::nullopt);
    }
};

struct EmbedColumn {
    Validity validity;
    TextColumn kind, media_kind;
    MediaColumn media;
    TextColumn link_uri, link_title, link_description;
    TextsColumn alt_texts;
    TextColumn quoted_uri, quoted_cid;

    void add(const std::optional<Embed>& embed) {
        static const Embed kNone;
        const Embed& from = embed ? *embed : kNone;
        validity.add(embed.has_value());
        kind.add(embed ? std::optional<Text>(from.kind) : std::nullopt);
        media_kind.add(from.media_kind);
        media.add(from.has_media ? &from.media : nullptr);
        link_uri.add(from.link_uri);
        link_title.add(from.link_title);
        link_description.add(from.link_description);
        alt_texts.add(embed ? &from.alt_texts : nullptr);
        quoted_uri.add(from.quoted_uri);
        quoted_cid.add(from.quoted_cid);
    }
};

struct FacetsColumn {
    Validity validity;
    Offsets offsets;
    Validity items;
    NumberColumn start, end;
    TextColumn kind, value;

    void add(const std::optional<std::vector<Facet>>& facets) {
        if (facets)
            for (const Facet& facet : *facets) {
                items.add(true);
                start.add(facet.start);
                end.add(facet.end);
                kind.add(facet.kind);
                value.add(facet.value);
            }
        offsets.add(items.length());
        validity.add(facets.has_value());
    }
};

constexpr uint8_t kRecordCid[] = {0x01, 0x71, 0x12, 0x20};

struct PostColumns {
    TextColumn cid, created_at, text;
    EmbedColumn embed;
    FacetsColumn facets;
    TextsColumn labels, langs;
    TextColumn reply_parent, reply_root;
    TextsColumn tags;
    TextColumn unknown;
    Validity is_usual;
    bool by_instructions = has_sha_instructions();

    void read(const uint8_t* data, size_t size) {
        Post post;
        try {
            post = read_post(data, size);
        } catch (const Unusual&) {
            is_usual.add(false);
            return;
        }
        add(post, data, size);
        is_usual.add(true);
    }

  private:
    void add(const Post& post, const uint8_t* data, size_t size) {
        std::array<uint8_t, kCidBytes> bytes;
        const auto digest = sha256(data, size, by_instructions);
        std::memcpy(bytes.data(), kRecordCid, sizeof kRecordCid);
        std::memcpy(bytes.data() + sizeof kRecordCid, digest.data(), digest.size());
        cid.add(CidText(bytes.data()).view());
        created_at.add(post.created_at);
        text.add(post.text);
        embed.add(post.embed);
        facets.add(post.facets);
        labels.add(given(post.labels));
        langs.add(given(post.langs));
        reply_parent.add(post.reply_parent);
        reply_root.add(post.reply_root);
        tags.add(given(post.tags));
        unknown.add(post.unknown ? std::optional<Text>(*post.unknown) : std::nullopt);
    }
};

// ---- Names --------------------------------------------------------------------------------------

constexpr size_t kDidBytes = 2'048, kKeyBytes = 512, kTidBytes = 13;

bool is_among(char character, Text others) {
    const bool is_letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
    const bool is_digit = character >= '0' && character <= '9';
    return is_letter || is_digit || others.find(character) != Text::npos;
}

bool are_among(Text text, Text others) {
    for (const char character : text)
        if (!is_among(character, others)) return false;
    return true;
}

// The same as syntax.py says.
bool is_did(Text did) {
    constexpr Text kStart = "did:";
    if (did.size() > kDidBytes || did.substr(0, kStart.size()) != kStart) return false;
    did.remove_prefix(kStart.size());
    size_t method = 0;
    while (method < did.size() && did[method] >= 'a' && did[method] <= 'z') ++method;
    if (!method || method == did.size() || did[method] != ':') return false;
    did.remove_prefix(method + 1);
    return !did.empty() && are_among(did, "._:%-") && is_among(did.back(), "._-");
}

bool is_record_key(Text key) {
    if (key.empty() || key.size() > kKeyBytes || key == "." || key == "..") return false;
    return are_among(key, "._:~-");
}

bool is_tid(Text tid) {
    if (tid.size() != kTidBytes || tid[0] > 'j') return false;
    for (const char digit : tid)
        if (!((digit >= '2' && digit <= '7') || (digit >= 'a' && digit <= 'z'))) return false;
    return true;
}

struct PostNames {
    Validity is_named;
    TextColumn uri;

    void read(Text did, Text key, Text rev) {
        is_named.add(is_did(did) && is_record_key(key) && is_tid(rev));
        uri.add_joined({"at://", did, "/app.bsky.feed.post/", key});
    }
};

// ---- To Python ----------------------------------------------------------------------------------

// Told of posts: each column before what is inside it.
class ToldPosts : public Told {
  public:
    using Told::tell;

    void tell(TextsColumn& column) {
        tell(column.validity);
        tell(column.offsets);
        tell(column.items);
    }

    void tell(MediaColumn& column) {
        tell(column.validity);
        tell(column.offsets);
        tell(column.items);
        for (auto* texts : {&column.kind, &column.cid, &column.mime_type, &column.alt})
            tell(*texts);
        tell(column.shapes);
        tell(column.width);
        tell(column.height);
    }

    void tell(EmbedColumn& column) {
        tell(column.validity);
        tell(column.kind);
        tell(column.media_kind);
        tell(column.media);
        tell(column.link_uri);
        tell(column.link_title);
        tell(column.link_description);
        tell(column.alt_texts);
        tell(column.quoted_uri);
        tell(column.quoted_cid);
    }

    void tell(FacetsColumn& column) {
        tell(column.validity);
        tell(column.offsets);
        tell(column.items);
        tell(column.start);
        tell(column.end);
        tell(column.kind);
        tell(column.value);
    }

    void tell(PostColumns& posts) {
        tell(posts.is_usual);
        tell(posts.cid);
        tell(posts.created_at);
        tell(posts.text);
        tell(posts.embed);
        tell(posts.facets);
        tell(posts.labels);
        tell(posts.langs);
        tell(posts.reply_parent);
        tell(posts.reply_root);
        tell(posts.tags);
        tell(posts.unknown);
    }

    void tell(PostNames& posts) {
        tell(posts.is_named);
        tell(posts.uri);
    }
};

// See that offsets rise and end within the bytes.
void check_offsets(const View& offsets, size_t first, size_t count, size_t size) {
    const size_t there = offsets.size() / sizeof(int32_t);
    if (first >= there || count > there - first - 1)
        throw std::invalid_argument("there are fewer offsets than values");
    const auto* ends = reinterpret_cast<const int32_t*>(offsets.data()) + first;
    if (ends[0] < 0 || size_t(ends[count]) > size || ends[count] < 0)
        throw std::invalid_argument("offsets reach beyond the bytes");
    for (size_t i = 0; i < count; ++i)
        if (ends[i + 1] < ends[i]) throw std::invalid_argument("offsets do not rise");
}

// Texts or bytes of a column, from one of them on.
class Column {
  public:
    Column(PyObject* offsets, PyObject* data, Py_ssize_t first)
        : offsets_(offsets), data_(data), first_(size_t(first)) {}

    bool is_held() const { return offsets_.is_held() && data_.is_held(); }

    void check(size_t count) const { check_offsets(offsets_, first_, count, data_.size()); }

    Text operator[](size_t at) const {
        const auto* ends = reinterpret_cast<const int32_t*>(offsets_.data()) + first_ + at;
        return {reinterpret_cast<const char*>(data_.data()) + ends[0], size_t(ends[1] - ends[0])};
    }

  private:
    const View offsets_, data_;
    const size_t first_;
};

// What is told of `count` rows of `columns`, by whatever has one of them read by `use`.
template <typename Read, size_t N, typename Use>
PyObject* told_of(const std::array<const Column*, N>& columns, Py_ssize_t count, const Use& use) {
    for (const Column* column : columns)
        if (!column->is_held()) return nullptr;
    Read read;
    PyObject* error = nullptr;
    std::string what;
    Py_BEGIN_ALLOW_THREADS
    try {
        for (const Column* column : columns) column->check(size_t(count));
        for (size_t at = 0; at < size_t(count); ++at) use(read, at);
    } catch (const std::bad_alloc&) {
        error = PyExc_MemoryError;
    } catch (const std::length_error& problem) {
        error = PyExc_OverflowError, what = problem.what();
    } catch (const std::exception& problem) {
        error = PyExc_ValueError, what = problem.what();
    }
    Py_END_ALLOW_THREADS
    if (error) return raised(error, what);
    ToldPosts told;
    told.tell(read);
    return told.given_away();
}

PyObject* read(PyObject*, PyObject* arguments) {
    PyObject *offsets, *data;
    Py_ssize_t first, count;
    if (!PyArg_ParseTuple(arguments, "OOnn", &offsets, &data, &first, &count)) return nullptr;
    if (first < 0 || count < 0) return raised(PyExc_ValueError, "a place cannot be negative");
    const Column records(offsets, data, first);
    return told_of<PostColumns, 1>({&records}, count, [&](PostColumns& posts, size_t at) {
        const Text record = records[at];
        posts.read(reinterpret_cast<const uint8_t*>(record.data()), record.size());
    });
}

PyObject* read_names(PyObject*, PyObject* arguments) {
    PyObject *dids[2], *keys[2], *revs[2];
    Py_ssize_t first[3], count;
    if (!PyArg_ParseTuple(arguments, "(OOn)(OOn)(OOn)n", &dids[0], &dids[1], &first[0], &keys[0],
                          &keys[1], &first[1], &revs[0], &revs[1], &first[2], &count))
        return nullptr;
    if (first[0] < 0 || first[1] < 0 || first[2] < 0 || count < 0)
        return raised(PyExc_ValueError, "a place cannot be negative");
    const Column did(dids[0], dids[1], first[0]);
    if (!did.is_held()) return nullptr;
    const Column key(keys[0], keys[1], first[1]);
    if (!key.is_held()) return nullptr;
    const Column rev(revs[0], revs[1], first[2]);
    return told_of<PostNames, 3>({&did, &key, &rev}, count, [&](PostNames& posts, size_t at) {
        posts.read(did[at], key[at], rev[at]);
    });
}

PyObject* sha256_of(PyObject*, PyObject* arguments) {
    PyObject* given;
    int by_instructions;
    if (!PyArg_ParseTuple(arguments, "Op", &given, &by_instructions)) return nullptr;
    const View data(given);
    if (!data.is_held()) return nullptr;
    const auto digest =
        sha256(data.data(), data.size(), by_instructions && has_sha_instructions());
    return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(digest.data()),
                                     Py_ssize_t(digest.size()));
}

PyMethodDef kMethods[] = {
    {"read", read, METH_VARARGS,
     "read(offsets, data, first, count): lengths and buffers of the columns of the posts whose "
     "records the offsets delimit in the data."},
    {"read_names", read_names, METH_VARARGS,
     "read_names(dids, keys, revs, count): whether what names each of the posts is as it should be, "
     "and their URIs; the columns as offsets, data, first."},
    {"sha256", sha256_of, METH_VARARGS,
     "sha256(data, by_instructions): the digest, by the processor's instructions for it if it has "
     "them and that is asked for."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef kModule = {PyModuleDef_HEAD_INIT,
                       "_post_columns",
                       "Posts' records to the buffers of Arrow columns; see post_columns.py.",
                       -1,
                       kMethods,
                       nullptr,
                       nullptr,
                       nullptr,
                       nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__post_columns() {
    PyObject* module = PyModule_Create(&kModule);
    if (module && PyModule_AddStringConstant(module, "SOURCE", SOURCE)) Py_CLEAR(module);
    return module;
}
