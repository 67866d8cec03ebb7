// The expression is compiled as it stands and anchored when matching, not by wrapping it in
// ^(?s:...)$: so an unbalanced "a)(b" is refused, as Prometheus, which parses first and wraps
// later, refuses it. Nothing may throw into C: every entry that allocates catches.
//
// RE2 takes one number for what an expression may hold: its program and the cache of states that
// matching fills. It is chosen by the size of the program, so that the caches of a thousand small
// expressions stay small and the one of a large expression is not flushed all the time.
#include "common/cxx/re2_shim.h"

#include <climits>
#include <map>
#include <new>
#include <string>
#include <vector>

#include <re2/re2.h>

struct nx_regex {
    nx_regex(const re2::StringPiece &expr, const re2::RE2::Options &options, bool anchored_both)
        : re(expr, options), anchor(anchored_both ? re2::RE2::ANCHOR_BOTH : re2::RE2::UNANCHORED),
          max_bytes(static_cast<size_t>(options.max_mem()) + expr.size() * PARSED_BYTES)
    {
    }
    static constexpr size_t PARSED_BYTES = 64; // of a character, as part of RE2's parsed form
    re2::RE2 re;
    re2::RE2::Anchor anchor;
    size_t max_bytes;
};

namespace
{

constexpr int64_t MAX_MEMORY_BYTES = 8 << 20;
constexpr int64_t MIN_MEMORY_BYTES = 96 << 10;
constexpr int64_t INSTRUCTION_BYTES = 16;
constexpr int64_t CACHED_STATES = 100;
constexpr size_t GROUPS_ON_STACK = 16;

// Go's regexp/syntax error texts.
const char *error_text(re2::RE2::ErrorCode code)
{
    switch (code) {
    case re2::RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
        return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
        return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
        return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
        return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
        return "expression too large";
    case re2::RE2::NoError:
    case re2::RE2::ErrorInternal:
        break;
    }
    return "regexp/syntax: internal error";
}

// The end of a character class that opens at `i`. A ']' that comes first is a member.
size_t skip_class(const std::string &expr, size_t i)
{
    i++;
    if (i < expr.size() && expr[i] == '^')
        i++;
    if (i < expr.size() && expr[i] == ']')
        i++;
    for (; i < expr.size() && expr[i] != ']'; i++) {
        if (expr[i] == '\\') {
            i++;
        } else if (expr.compare(i, 2, "[:") == 0) {
            size_t end = expr.find(":]", i + 2);
            if (end != std::string::npos)
                i = end + 1;
        }
    }
    return i;
}

// Go also takes (?<name>...), which this RE2 knows as (?P<name>...) only.
std::string with_named_groups(const std::string &expr)
{
    if (expr.find("(?<") == std::string::npos)
        return expr;
    std::string out;
    for (size_t i = 0; i < expr.size();) {
        size_t end = i + 1;
        if (expr.compare(i, 2, "\\Q") == 0) {
            end = expr.find("\\E", i + 2);
            end = end == std::string::npos ? expr.size() : end + 2;
        } else if (expr[i] == '\\') {
            end = i + 2;
        } else if (expr[i] == '[') {
            end = skip_class(expr, i) + 1;
        } else if (expr.compare(i, 3, "(?<") == 0) {
            out += "(?P<";
            i += 3;
            continue;
        }
        end = end < expr.size() ? end : expr.size();
        out.append(expr, i, end - i);
        i = end;
    }
    return out;
}

enum nx_err fail_parse(const re2::RE2 &re, const std::string &expr, struct nx_fail *fail)
{
    const char *reason = error_text(re.error_code());
    std::string arg = re.error_arg();
    if (arg.compare(0, 4, "(?P<") == 0 && expr.find(arg) == std::string::npos)
        arg.erase(2, 1); // our own rewriting
    if (re.error_code() == re2::RE2::ErrorPatternTooLarge)
        return nx_fail_set(fail, NX_ERR_INVALID, "error parsing regexp: %s", reason);
    return nx_fail_set(fail, NX_ERR_INVALID, "error parsing regexp: %s: `%s`", reason, arg.c_str());
}

int64_t at_most_max(int64_t bytes)
{
    return bytes < MAX_MEMORY_BYTES ? bytes : MAX_MEMORY_BYTES;
}

// What a program needs for itself and for a cache in which a usual match stays.
int64_t wanted_bytes(const re2::RE2 &re)
{
    int64_t size = re.ProgramSize();
    return at_most_max(32768 + size * INSTRUCTION_BYTES + CACHED_STATES * (size * 4 + 512));
}

struct nx_regex *compile(const std::string &text, bool anchored, int64_t max_bytes)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(true);
    options.set_max_mem(max_bytes);
    return new nx_regex(re2::StringPiece(text), options, anchored);
}

// First with what its length lets expect, then, where that is not enough, with what it needs.
struct nx_regex *compile_fitting(const std::string &text, bool anchored)
{
    int64_t given = at_most_max(MIN_MEMORY_BYTES + static_cast<int64_t>(text.size()) * 1024);
    struct nx_regex *regex = compile(text, anchored, given);
    int64_t wanted = given;
    if (regex->re.ok())
        wanted = wanted_bytes(regex->re);
    else if (regex->re.error_code() == re2::RE2::ErrorPatternTooLarge)
        wanted = MAX_MEMORY_BYTES;
    if (wanted <= given)
        return regex;
    delete regex;
    regex = compile(text, anchored, wanted);
    if (!regex->re.ok() || wanted_bytes(regex->re) <= wanted)
        return regex;
    wanted = wanted_bytes(regex->re);
    delete regex;
    return compile(text, anchored, wanted);
}

re2::StringPiece piece_of(struct nx_view text)
{
    return re2::StringPiece(text.ptr ? text.ptr : "", text.len);
}

struct nx_view view_of(const re2::StringPiece &piece)
{
    return nx_view_make(piece.data(), piece.size());
}

} // namespace

extern "C" {

enum nx_err nx_regex_new(struct nx_view expr, bool anchored, struct nx_regex **out,
                         struct nx_fail *fail)
{
    // RE2 counts in int.
    if (expr.len > INT_MAX / 4)
        return nx_fail_set(fail, NX_ERR_INVALID, "error parsing regexp: expression too large");
    try {
        std::string given(expr.len ? expr.ptr : "", expr.len);
        std::string text = with_named_groups(given);
        struct nx_regex *regex = compile_fitting(text, anchored);
        if (!regex->re.ok()) {
            enum nx_err err = fail_parse(regex->re, given, fail);
            delete regex;
            return err;
        }
        *out = regex;
        return NX_OK;
    } catch (...) {
        return NX_ERR_NOMEM;
    }
}

void nx_regex_free(struct nx_regex *regex)
{
    delete regex;
}

size_t nx_regex_max_bytes(const struct nx_regex *regex)
{
    return regex ? regex->max_bytes : 0;
}

bool nx_regex_matches(const struct nx_regex *regex, struct nx_view text)
{
    try {
        return regex->re.Match(piece_of(text), 0, text.len, regex->anchor, nullptr, 0);
    } catch (...) {
        return false;
    }
}

size_t nx_regex_group_count(const struct nx_regex *regex)
{
    return static_cast<size_t>(regex->re.NumberOfCapturingGroups()) + 1;
}

size_t nx_regex_groups(const struct nx_regex *regex, struct nx_view text, struct nx_view *groups,
                       size_t max)
{
    size_t total = nx_regex_group_count(regex);
    size_t wanted = max < total ? max : total;
    try {
        re2::StringPiece few[GROUPS_ON_STACK];
        std::vector<re2::StringPiece> many(wanted > GROUPS_ON_STACK ? wanted : 0);
        re2::StringPiece *found = wanted > GROUPS_ON_STACK ? many.data() : few;
        if (!regex->re.Match(piece_of(text), 0, text.len, regex->anchor, found,
                             static_cast<int>(wanted)))
            return 0;
        for (size_t i = 0; i < wanted; i++)
            groups[i] = view_of(found[i]);
        return total;
    } catch (...) {
        return 0;
    }
}

int nx_regex_group_index(const struct nx_regex *regex, struct nx_view name)
{
    try {
        const std::map<std::string, int> &names = regex->re.NamedCapturingGroups();
        auto it = names.find(std::string(name.len ? name.ptr : "", name.len));
        return it == names.end() ? -1 : it->second;
    } catch (...) {
        return -1;
    }
}

size_t nx_regex_prefix(const struct nx_regex *regex, char *out, size_t size)
{
    if (regex->anchor != re2::RE2::ANCHOR_BOTH)
        return 0;
    try {
        std::string low;
        std::string high;
        int limit = size < 1024 ? static_cast<int>(size) + 1 : 1025;
        if (!regex->re.PossibleMatchRange(&low, &high, limit))
            return 0;
        // Every text between the two begins with what they share.
        size_t len = 0;
        while (len < size && len < low.size() && len < high.size() && low[len] == high[len]) {
            out[len] = low[len];
            len++;
        }
        return len;
    } catch (...) {
        return 0;
    }
}

} // extern "C"
