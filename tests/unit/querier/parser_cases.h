/* Queries and what becomes of them. VALID(text, printed), ERROR(text, message): with all features;
 * DISABLED(text, message): with none. */
#ifndef TEST_QUERIER_PARSER_CASES_H
#define TEST_QUERIER_PARSER_CASES_H

/* clang-format off */
#define VALID_CASES(VALID)                                                                                 \
    /* numbers: section 1.4 */                                                                             \
    VALID("7", "7")                                                                                        \
    VALID("007", "7")                                                                                      \
    VALID("0755", "493")                                                                                   \
    VALID("08", "8")                                                                                       \
    VALID("0xfd", "253")                                                                                   \
    VALID("0X_1f", "31")                                                                                   \
    VALID("0xe", "14")                                                                                     \
    VALID("1_000.5", "1000.5")                                                                             \
    VALID(".123_456", "0.123456")                                                                          \
    VALID("1e1_0", "10000000000")                                                                          \
    VALID("2.", "2")                                                                                       \
    VALID("9223372036854775807", "9223372036854776000")                                                    \
    VALID("9223372036854775808", "9223372036854776000")                                                    \
    VALID("1e-7", "0.0000001")                                                                             \
    VALID("inf + NAN", "+Inf + NaN")                                                                       \
    VALID("-iNf", "-Inf")                                                                                  \
    VALID("inf ^ 2", "Inf ^ 2")                                                                            \
    VALID("2 ^ inf", "2 ^ +Inf")                                                                           \
    VALID("-inf ^ -inf", "-Inf ^ -Inf")                                                                    \
    VALID("+Inf ^ 2", "+Inf ^ 2")                                                                          \
    /* durations: section 1.5 */                                                                           \
    VALID("90m", "1h30m")                                                                                  \
    VALID("1y2w3d4h5m6s7ms", "382d4h5m6s7ms")                                                              \
    VALID("24h", "1d")                                                                                     \
    VALID("-5m", "-5m")                                                                                    \
    VALID("1h + 5", "1h + 5")                                                                              \
    VALID("0s", "0s")                                                                                      \
    /* strings: section 1.3 */                                                                             \
    VALID("'it\"s'", "\"it\\\"s\"")                                                                        \
    VALID("\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"", "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"")                        \
    VALID("\"\\101\\x42\\u0043\\U0001F525\"", "\"ABC\xF0\x9F\x94\xA5\"")                                   \
    VALID("\"\\xff\"", "\"\\xff\"")                                                                        \
    VALID("`a\\nb\nc`", "\"a\\\\nb\\nc\"")                                                                 \
    /* comments and blanks */                                                                              \
    VALID("a # not this", "a")                                                                             \
    VALID("a{ # one\n b = 'c' , # two\r\n }", "a{b=\"c\"}")                                                \
    VALID("\t a\r\n+\nb ", "a + b")                                                                        \
    /* operators: section 3 */                                                                             \
    VALID("-1 ^ 2", "-1 ^ 2")                                                                              \
    VALID("2 ^ 3 ^ 2", "2 ^ 3 ^ 2")                                                                        \
    VALID("--x", "--x")                                                                                    \
    VALID("+-1", "-1")                                                                                     \
    VALID("a ATAN2 b", "a atan2 b")                                                                        \
    VALID("a<=b", "a <= b")                                                                                \
    VALID("a</b", "a </ b")                                                                                \
    VALID("a>/2", "a >/ 2")                                                                                \
    VALID("1 >= bool 2", "1 >= bool 2")                                                                    \
    VALID("a != bool b", "a != bool b")                                                                    \
    VALID("a AND b Or c UNLESS d", "a and b or c unless d")                                                \
    /* matching: section 4 */                                                                              \
    VALID("a + on() b", "a + on () b")                                                                     \
    VALID("a + ignoring() b", "a + b")                                                                     \
    VALID("a * on(x,y,) group_left b", "a * on (x, y) group_left () b")                                    \
    VALID("a * ignoring(x) group_right(\"z z\") b", "a * ignoring (x) group_right (\"z z\") b")            \
    VALID("a / on(without_x, by, on, bool) b", "a / on (without_x, by, on, bool) b")                       \
    VALID("a and on(m:n) b", "a and on (\"m:n\") b")                                                       \
    VALID("a + fill(1m) b", "a + fill (60) b")                                                             \
    VALID("a + on(x) fill_right(-2) fill_left(+3) b", "a + on (x) fill_left (3) fill_right (-2) b")        \
    VALID("a == bool fill(NaN) b", "a == bool fill_left (NaN) fill_right (NaN) b")                         \
    /* keywords as names: section 1.2 */                                                                   \
    VALID("sum + avg", "sum + avg")                                                                        \
    VALID("by - without", "by - without")                                                                  \
    VALID("fill + fill_left", "fill + fill_left")                                                          \
    VALID("or or or", "or or or")                                                                          \
    VALID("offset offset 5m", "offset offset 5m")                                                          \
    VALID("anchored anchored", "anchored anchored")                                                        \
    VALID("start{end=\"1\",on=\"2\",inf=\"3\"}", "start{end=\"1\",inf=\"3\",on=\"2\"}")                    \
    VALID("step + range + max_of + min_of", "step + range + max_of + min_of")                              \
    VALID("SUM", "SUM")                                                                                    \
    VALID(":a:b:", ":a:b:")                                                                                \
    /* selectors */                                                                                        \
    VALID("m{}", "m")                                                                                      \
    VALID("m{z=\"1\",a!=\"2\",k=~\"3\",b!~\"4\",}", "m{a!=\"2\",b!~\"4\",k=~\"3\",z=\"1\"}")               \
    VALID("{\"a.b\", 'l l'=`v`}", "{\"l l\"=\"v\",__name__=\"a.b\"}")                                      \
    VALID("{__name__=\"m\"}", "{__name__=\"m\"}")                                                          \
    VALID("{__name__=~\"a\",__name__!~\"b\"}", "{__name__!~\"b\",__name__=~\"a\"}")                        \
    VALID("{x!=\"\"}", "{x!=\"\"}")                                                                        \
    /* modifiers: section 5 */                                                                             \
    VALID("m[300]", "m[5m]")                                                                               \
    VALID("m[1.5] offset 0.5", "m[1s500ms] offset 500ms")                                                  \
    VALID("m offset -1h30m @ 5", "m @ 5.000 offset -1h30m")                                                \
    VALID("m @ -1.2345", "m @ -1.235")                                                                     \
    VALID("m @ 1m", "m @ 60.000")                                                                          \
    VALID("m[5m] @ START() offset 1w", "m[5m] @ start() offset 1w")                                        \
    VALID("m @ end()", "m @ end()")                                                                        \
    VALID("m offset 0 offset 5m", "m offset 5m")                                                           \
    VALID("m[5m:]", "m[5m:]")                                                                              \
    VALID("m[5m:30] offset 1m @ end()", "m[5m:30s] @ end() offset 1m")                                     \
    VALID("m offset 1m [5m:1m] offset 2m", "m offset 1m[5m:1m] offset 2m")                                 \
    VALID("max_over_time(rate(m[1m])[5m:1m])", "max_over_time(rate(m[1m])[5m:1m])")                        \
    VALID("m smoothed offset 5m @ 1", "m @ 1.000 smoothed offset 5m")                                      \
    VALID("rate(m[5m] anchored @ 1)", "rate(m[5m] anchored @ 1.000)")                                      \
    /* duration expressions: sections 2.1, 2.2 */                                                          \
    VALID("m[1m+2*30s]", "m[1m + 2 * 30s]")                                                                \
    VALID("m[-2^2+1h]", "m[-2 ^ 2 + 1h]")                                                                  \
    VALID("m[ Step ( ) ]", "m[step()]")                                                                    \
    VALID("m[range()/4:STEP()%7s]", "m[range() / 4:step() % 7s]")                                          \
    VALID("m[max_of(1m,min_of(step(),2))]", "m[max_of(1m, min_of(step(), 2))]")                            \
    VALID("m[(5)]", "m[(5)]")                                                                              \
    VALID("m[((5m))]", "m[(5m)]")                                                                          \
    VALID("m offset (1h)", "m offset (1h)")                                                                \
    VALID("m offset -(1h - step())", "m offset -(1h - step())")                                            \
    VALID("m offset +(5)", "m offset (5)")                                                                 \
    VALID("m offset (1h) * 2 @ 5", "m @ 5.000 offset (1h) * 2")                                            \
    VALID("m offset ((1h)) - 2 == n", "m offset (1h) - 2 == n")                                            \
    VALID("m offset - -1 == n", "m offset 1s == n")                                                        \
    VALID("m offset - -step() + 2", "m offset --step() + 2")                                               \
    VALID("m offset (1h) @ 5 * 2", "m @ 5.000 offset +(1h) * 2")                                           \
    VALID("m offset (1h) * 2 @ 5 * 2", "m offset (1h) * 2 @ 5.000 * 2")                                    \
    VALID("a - -m offset - -step() smoothed ^ 2", "a - -m offset --step() smoothed ^ 2")                   \
    VALID("m offset (1h) @ 5 == 2", "m @ 5.000 offset (1h) == 2")                                          \
    VALID("m offset --1 + 2", "m offset ++1 + 2")                                                          \
    VALID("m offset +-1^2", "m offset +-1 ^ 2")                                                            \
    VALID("m offset -+max_of(1,2)/3", "m offset +-max_of(1, 2) / 3")                                       \
    VALID("m offset --0-15m or n", "m offset ++0 - 15m or n")                                              \
    VALID("m offset ++(1)*2", "m offset (1) * 2")                                                          \
    VALID("m offset +-(1)*2", "m offset +-(1) * 2")                                                        \
    VALID("m offset +(1h) % n", "m offset +(1h) % n")                                                      \
    VALID("m offset -(1h) + n", "m offset -(1h) + n")                                                      \
    VALID("m offset step() ^ n", "m offset step() ^ n")                                                    \
    VALID("m offset -2 ^ 2", "m offset -2s ^ 2")                                                           \
    VALID("m offset step() * 2", "m offset step() * 2")                                                    \
    VALID("m offset -max_of(1, 2) + 3", "m offset -max_of(1, 2) + 3")                                      \
    /* calls and aggregations */                                                                           \
    VALID("time()", "time()")                                                                              \
    VALID("start() + end() + step() + range()", "start() + end() + step() + range()")                      \
    VALID("max_of(1, min_of(2, 3))", "max_of(1, min_of(2, 3))")                                            \
    VALID("label_join(m, \"a\", \"-\")", "label_join(m, \"a\", \"-\")")                                    \
    VALID("label_join(m, \"a\", \"-\", \"b\", \"c\")", "label_join(m, \"a\", \"-\", \"b\", \"c\")")        \
    VALID("round(m)", "round(m)")                                                                          \
    VALID("hour()", "hour()")                                                                              \
    VALID("info(m)", "info(m)")                                                                            \
    VALID("info(m, {})", "info(m, {})")                                                                    \
    VALID("info(m, {x=\"\"})", "info(m, {x=\"\"})")                                                        \
    VALID("sum(m) by (a)", "sum by (a) (m)")                                                               \
    VALID("Sum By (a,) (m)", "sum by (a) (m)")                                                             \
    VALID("sum by () (m)", "sum(m)")                                                                       \
    VALID("avg without () (m)", "avg without () (m)")                                                      \
    VALID("topk by (a) (3, m)", "topk by (a) (3, m)")                                                      \
    VALID("count_values(\"v\", m) without (\"x y\")", "count_values without (\"x y\") (\"v\", m)")         \
    VALID("limit_ratio(-0.5, m)", "limit_ratio(-0.5, m)")                                                  \
    VALID("sum(sum)", "sum(sum)")                                                                          \
    VALID("(sum(m) )", "(sum(m))")

#define ERROR_CASES(ERROR)                                                                                 \
    ERROR("", "unknown position: parse error: no expression found in input")                               \
    ERROR(" \n", "1:1: parse error: no expression found in input")                                         \
    ERROR("# nothing", "1:1: parse error: no expression found in input")                                   \
    /* characters */                                                                                       \
    ERROR("a ; b", "1:3: parse error: unexpected character: ';'")                                          \
    ERROR("a\n  + $", "2:5: parse error: unexpected character: '$'")                                       \
    ERROR("\xC2\xA7", "1:1: parse error: unexpected character: '\xC2\xA7'")                                \
    ERROR("\xff", "1:1: parse error: unexpected character: '\xEF\xBF\xBD'")                                \
    ERROR("a \x01", "1:3: parse error: unexpected character: '\\x01'")                                     \
    ERROR("a }", "1:3: parse error: unexpected character: '}'")                                            \
    ERROR(".", "1:1: parse error: unexpected character: '.'")                                              \
    ERROR("a ! b", "1:3: parse error: unexpected character after '!': ' '")                                \
    ERROR("a !", "1:3: parse error: unexpected character after '!': '\xEF\xBF\xBD'")                       \
    ERROR("a =~ b", "1:3: parse error: unexpected character after '=': '~'")                               \
    ERROR("a]", "1:2: parse error: unexpected right bracket ']'")                                          \
    ERROR("a)", "1:3: parse error: unexpected right parenthesis ')'")                                      \
    ERROR("(a", "1:3: parse error: unclosed left parenthesis")                                             \
    ERROR("sum(a", "1:6: parse error: unclosed left parenthesis")                                          \
    ERROR("a[5m", "1:5: parse error: unclosed left bracket")                                               \
    ERROR("a[", "1:3: parse error: unexpected end of input in duration expression")                        \
    ERROR("a[5m[", "1:5: parse error: unexpected left bracket '['")                                        \
    ERROR("a[:1m]", "1:4: parse error: unexpected colon before duration in duration expression")           \
    ERROR("a[5m:1m:1m]", "1:8: parse error: unexpected colon ':'")                                         \
    ERROR("a[x]", "1:3: parse error: unexpected character in duration expression: 'x'")                    \
    ERROR("a[#]", "1:3: parse error: unexpected character in duration expression: '#'")                    \
    ERROR("a[steps()]", "1:3: parse error: unexpected character in duration expression: 's'")              \
    ERROR("a[5m y]", "1:6: parse error: unexpected character: 'y', expected ':'")                          \
    ERROR("a[5m ss]", "1:6: parse error: unexpected character: 's', expected ':'")                         \
    /* numbers and durations */                                                                            \
    ERROR("1..2", "1:1: parse error: bad number or duration syntax: \"1..\"")                              \
    ERROR("1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.\"")                            \
    ERROR("1e", "1:1: parse error: bad number or duration syntax: \"1e\"")                                 \
    ERROR("1e1e1", "1:1: parse error: bad number or duration syntax: \"1e1e\"")                            \
    ERROR("1__0", "1:1: parse error: bad number or duration syntax: \"1__\"")                              \
    ERROR("1_", "1:1: parse error: bad number or duration syntax: \"1_\"")                                 \
    ERROR("0x1.5", "1:1: parse error: bad number or duration syntax: \"0x1.\"")                            \
    ERROR("0x1e", "1:1: parse error: bad number or duration syntax: \"0x1e\"")                             \
    ERROR("0x1ee", "1:1: parse error: bad number or duration syntax: \"0x1ee\"")                           \
    ERROR("0b1", "1:1: parse error: bad number or duration syntax: \"0\"")                                 \
    ERROR("12x", "1:1: parse error: bad number or duration syntax: \"12\"")                                \
    ERROR("5m6", "1:1: parse error: bad number or duration syntax: \"5m6\"")                               \
    ERROR("5mm", "1:1: parse error: bad number or duration syntax: \"5mm\"")                               \
    ERROR("1.5h", "1:1: parse error: unknown unit \".\" in duration \"1.5h\"")                             \
    ERROR("30m1h", "1:1: parse error: not a valid duration string: \"30m1h\"")                             \
    ERROR("1h1h", "1:1: parse error: not a valid duration string: \"1h1h\"")                               \
    ERROR("1hs", "1:1: parse error: unknown unit \"hs\" in duration \"1hs\"")                              \
    ERROR("999y", "1:1: parse error: duration out of range")                                               \
    ERROR("1e999", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": "       \
                   "value out of range")                                                                   \
    ERROR("0x", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"0x\": "             \
                "invalid syntax")                                                                          \
    ERROR("1e+", "1:1: parse error: bad number or duration syntax: \"1e+\"")                               \
    /* strings */                                                                                          \
    ERROR("\"abc", "1:1: parse error: unterminated quoted string")                                         \
    ERROR("'a\nb'", "1:1: parse error: unterminated quoted string")                                        \
    ERROR("`abc", "1:1: parse error: unterminated raw string")                                             \
    ERROR("\"\\", "1:1: parse error: escape sequence not terminated")                                      \
    ERROR("\"\\x4", "1:1: parse error: escape sequence not terminated")                                    \
    ERROR("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'")                               \
    ERROR("\"\\'\"", "1:1: parse error: unknown escape sequence U+0027 '''")                               \
    ERROR("\"\\\n\"", "1:1: parse error: unknown escape sequence U+000A")                                  \
    ERROR("\"\\xg0\"", "1:1: parse error: illegal character U+0067 'g' in escape sequence")                \
    ERROR("\"\\189\"", "1:1: parse error: illegal character U+0038 '8' in escape sequence")                \
    ERROR("\"\\400\"", "1:1: parse error: escape sequence is an invalid Unicode code point")               \
    ERROR("\"\\ud800\"", "1:1: parse error: escape sequence is an invalid Unicode code point")             \
    ERROR("\"\\U00110000\"", "1:1: parse error: escape sequence is an invalid Unicode code point")         \
    ERROR("\"a\xC3\"", "1:1: parse error: invalid UTF-8 rune")                                             \
    /* operands and operators */                                                                           \
    ERROR("1 +", "1:4: parse error: unexpected end of input")                                              \
    ERROR("* 1", "1:1: parse error: unexpected <op:*>")                                                    \
    ERROR("a == != b", "1:6: parse error: unexpected <op:!=>")                                             \
    ERROR("a = b", "1:3: parse error: unexpected \"=\"")                                                   \
    ERROR("a b", "1:3: parse error: unexpected identifier \"b\"")                                          \
    ERROR("a b:c", "1:3: parse error: unexpected metric identifier \"b:c\"")                               \
    ERROR("a \"b\"", "1:3: parse error: unexpected string \"\\\"b\\\"\"")                                  \
    ERROR("a \"0123456789abc\"", "1:3: parse error: unexpected string \"\\\"012345678\"...")               \
    ERROR("a 12345678901", "1:3: parse error: unexpected number \"1234567890\"...")                        \
    ERROR("a 5m", "1:3: parse error: unexpected duration \"5m\"")                                          \
    ERROR("a sum", "1:3: parse error: unexpected <aggr:sum>")                                              \
    ERROR("a By", "1:3: parse error: unexpected <By>")                                                     \
    ERROR("a start", "1:3: parse error: unexpected \"start\"")                                             \
    ERROR("bool", "1:1: parse error: unexpected <bool>")                                                   \
    ERROR("ignoring", "1:1: parse error: unexpected <ignoring>")                                           \
    ERROR("atan2", "1:1: parse error: unexpected <op:atan2>")                                              \
    ERROR("group_left", "1:1: parse error: unexpected <group_left>")                                       \
    ERROR("()", "1:2: parse error: unexpected \")\"")                                                      \
    ERROR("fill(1)", "1:5: parse error: unexpected \"(\"")                                                 \
    ERROR("a + fill(b) c", "1:10: parse error: unexpected identifier \"b\"")                               \
    ERROR("a + fill(1) fill(2) c", "1:17: parse error: unexpected \"(\"")                                  \
    ERROR("a + group_left(x) b", "1:5: parse error: unexpected <group_left>")                              \
    ERROR("a + on(x) bool b", "1:11: parse error: unexpected <bool>")                                      \
    ERROR("{a=\"b\"} {c=\"d\"}", "1:9: parse error: unexpected \"{\"")                                     \
    ERROR("a:b(c)", "1:4: parse error: unexpected \"(\"")                                                  \
    /* braces */                                                                                           \
    ERROR("a{", "1:3: parse error: unexpected end of input inside braces")                                 \
    ERROR("a{b", "1:4: parse error: unexpected end of input inside braces")                                \
    ERROR("a{1}", "1:3: parse error: unexpected character inside braces: '1'")                             \
    ERROR("a{b:c=\"d\"}", "1:4: parse error: unexpected character inside braces: ':'")                     \
    ERROR("a{b!c}", "1:4: parse error: unexpected character after '!' inside braces: 'c'")                 \
    ERROR("a{{", "1:3: parse error: unexpected left brace '{'")                                            \
    ERROR("a{,}", "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\"")    \
    ERROR("a{b}", "1:4: parse error: unexpected \"}\" in label matching, "                                 \
                  "expected label matching operator")                                                      \
    ERROR("a{b c}", "1:5: parse error: unexpected identifier \"c\" in label matching, "                    \
                    "expected label matching operator")                                                    \
    ERROR("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string")    \
    ERROR("a{b==\"c\"}", "1:5: parse error: unexpected \"=\" in label matching, expected string")          \
    ERROR("a{\"b\"=}", "1:7: parse error: unexpected \"}\" in label matching, expected string")            \
    ERROR("a{\"b\" c}", "1:7: parse error: unexpected identifier \"c\" in label matching, "                \
                        "expected \",\" or \"}\"")                                                         \
    ERROR("a{b=\"c\" d=\"e\"}", "1:9: parse error: unexpected identifier \"d\" in label matching, "        \
                                "expected \",\" or \"}\"")                                                 \
    ERROR("a{b=\"c\",,}", "1:9: parse error: unexpected \",\" in label matching, "                         \
                          "expected identifier or \"}\"")                                                  \
    ERROR("a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `(`")                 \
    /* grouping */                                                                                         \
    ERROR("sum by a (b)", "1:8: parse error: unexpected identifier \"a\" in grouping opts, "               \
                          "expected \"(\"")                                                                \
    ERROR("sum by (,) (b)", "1:9: parse error: unexpected \",\" in grouping opts, expected label")         \
    ERROR("sum by (a,,) (b)", "1:11: parse error: unexpected \",\" in grouping opts, expected label")      \
    ERROR("sum by (a b) (c)", "1:11: parse error: unexpected identifier \"b\" in grouping opts, "          \
                              "expected \",\" or \")\"")                                                   \
    ERROR("sum by (without) (c)", "1:9: parse error: unexpected <without> in grouping opts, "              \
                                  "expected label")                                                        \
    ERROR("sum by (nan) (c)", "1:9: parse error: unexpected number \"nan\" in grouping opts, "             \
                              "expected label")                                                            \
    ERROR("sum by (\"\") (c)", "1:9: parse error: invalid label name for grouping: \"\"")                  \
    ERROR("sum by (\"\\xff\") (c)", "1:9: parse error: invalid label name for grouping: \"\\xff\"")        \
    ERROR("a * on b", "1:8: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\"")    \
    ERROR("a * on(x) group_left(1) b", "1:22: parse error: unexpected number \"1\" in grouping opts, "     \
                                       "expected label")                                                   \
    ERROR("a * on(x) group_left * b", "1:22: parse error: unexpected <op:*> in grouping opts, "            \
                                      "expected \"(\"")                                                    \
    ERROR("sum(a * on(x) group_right)", "1:26: parse error: unexpected \")\" in grouping opts, "           \
                                        "expected \"(\"")                                                  \
    /* calls and aggregations */                                                                           \
    ERROR("sum a", "1:5: parse error: unexpected identifier \"a\"")                                        \
    ERROR("sum by (a) b", "1:12: parse error: unexpected identifier \"b\" in aggregation")                 \
    ERROR("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation")                      \
    ERROR("sum(abs(a b))", "1:11: parse error: unexpected identifier \"b\" in aggregation")                \
    ERROR("abs(a b)", "1:7: parse error: unexpected identifier \"b\"")                                     \
    ERROR("sum(a) by (b) by (c)", "1:15: parse error: unexpected <by>")                                    \
    ERROR("sum by (b) (a) by (c)", "1:16: parse error: unexpected <by>")                                   \
    ERROR("sum()", "1:1: parse error: no arguments for aggregate expression provided")                     \
    ERROR("sum(a, b)", "1:1: parse error: wrong number of arguments for aggregate expression provided, "   \
                       "expected 1, got 2")                                                                \
    ERROR("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, "     \
                     "expected 2, got 1")                                                                  \
    ERROR("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args")                \
    ERROR("abs(a,,b)", "1:6: parse error: trailing commas not allowed in function call args")              \
    ERROR("abs(,)", "1:5: parse error: unexpected \",\"")                                                  \
    ERROR("nope(a)", "1:1: parse error: unknown function with name \"nope\"")                              \
    ERROR("abs(nope(a), ha(b))", "1:5: parse error: unknown function with name \"nope\"")                  \
    ERROR("Abs(a)", "1:1: parse error: unknown function with name \"Abs\"")                                \
    ERROR("abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0")                   \
    ERROR("histogram_quantiles(a, \"q\")", "1:1: parse error: expected at least 3 argument(s) in call to " \
                                           "\"histogram_quantiles\", got 2")                               \
    ERROR("pi(a)", "1:1: parse error: expected 0 argument(s) in call to \"pi\", got 1")                    \
    ERROR("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0")      \
    ERROR("round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", "      \
                            "got 3")                                                                       \
    ERROR("label_join(a, \"b\")", "1:1: parse error: expected at least 3 argument(s) in call to "          \
                                  "\"label_join\", got 2")                                                 \
    ERROR("rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", got "     \
                     "instant vector")                                                                     \
    ERROR("abs(1)", "1:5: parse error: expected type instant vector in call to function \"abs\", got "     \
                    "scalar")                                                                              \
    ERROR("vector(\"x\")", "1:8: parse error: expected type scalar in call to function \"vector\", got "   \
                           "string")                                                                       \
    ERROR("label_join(a, \"b\", \"c\", \"d\", 1)", "1:30: parse error: expected type string in call to "   \
                                                   "function \"label_join\", got scalar")                  \
    ERROR("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got "       \
                    "scalar")                                                                              \
    ERROR("topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant "    \
                        "vector")                                                                          \
    ERROR("count_values(1, b)", "1:14: parse error: expected type string in aggregation parameter, got "   \
                                "scalar")                                                                  \
    ERROR("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead")    \
    ERROR("info(a, abs({x=\"y\"}))", "1:9: parse error: expected label selectors only")                    \
    ERROR("info(a, 1)", "1:1: parse error: expected type instant vector in call to function \"info\", "    \
                        "got scalar")                                                                      \
    ERROR("info(a, {}) + {}", "1:15: parse error: vector selector must contain at least one non-empty "    \
                              "matcher")                                                                   \
    /* types of binary and unary expressions: section 7 */                                                 \
    ERROR("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier")                \
    ERROR("a   + bool b", "1:5: parse error: bool modifier can only be used on comparison operators")      \
    ERROR("a offset 5m and bool b", "1:13: parse error: bool modifier can only be used on comparison "     \
                                    "operators")                                                           \
    ERROR("a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors")         \
    ERROR("a + fill(0) 1", "1:1: parse error: filling in missing series only allowed between instant "     \
                           "vectors")                                                                      \
    ERROR("a and fill(0) b", "1:1: parse error: filling in missing series not allowed for set operators")  \
    ERROR("a or on(x) group_left b", "1:1: parse error: no grouping allowed for \"or\" operation")         \
    ERROR("a * on(x, y) group_right(z, y) b", "1:3: parse error: label \"y\" must not occur in ON and "    \
                                              "GROUP clause at once")                                      \
    ERROR("a unless 1", "1:1: parse error: set operator \"unless\" not allowed in binary scalar "          \
                        "expression")                                                                      \
    ERROR("1 and 2", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression")     \
    ERROR("a[5m] + b", "1:1: parse error: binary expression must contain only scalar and instant vector "  \
                       "types")                                                                            \
    ERROR("a + \"b\"", "1:5: parse error: binary expression must contain only scalar and instant vector "  \
                       "types")                                                                            \
    ERROR("-a[5m]", "1:1: parse error: unary expression only allowed on expressions of type scalar or "    \
                    "instant vector, got \"range vector\"")                                                \
    ERROR("-\"a\"", "1:1: parse error: unary expression only allowed on expressions of type scalar or "    \
                    "instant vector, got \"string\"")                                                      \
    ERROR("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher")           \
    ERROR("{x=~\".*\", y!=\"z\"}", "1:1: parse error: vector selector must contain at least one "          \
                                   "non-empty matcher")                                                    \
    ERROR("b + a{__name__=\"c\"}", "1:5: parse error: metric name must not be set twice: \"a\" or \"c\"")  \
    /* ranges and subqueries */                                                                            \
    ERROR("a[]", "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, "     \
                 "duration, step(), or range()")                                                           \
    ERROR("a[5m+]", "1:6: parse error: unexpected \"]\" in subquery or range selector, expected number, "  \
                    "duration, step(), or range()")                                                        \
    ERROR("a[step]", "1:7: parse error: unexpected \"]\" in subquery or range selector, expected number, " \
                     "duration, step(), or range()")                                                       \
    ERROR("a[5m 5m]", "1:6: parse error: unexpected duration \"5m\" in subquery or range, "                \
                      "expected \":\" or \"]\"")                                                           \
    ERROR("a[5m:)", "1:7: parse error: unexpected right parenthesis ')'")                                  \
    ERROR("(a[5m:)]", "1:7: parse error: unexpected \")\" in subquery selector, expected number, "         \
                      "duration, step(), range(), or \"]\"")                                               \
    ERROR("a[5m:1m 2]", "1:9: parse error: unexpected number \"2\" in subquery selector, "                 \
                        "expected \"]\"")                                                                  \
    ERROR("sum(a[5m 5m])", "1:10: parse error: unexpected duration \"5m\" in subquery or range, "          \
                           "expected \":\" or \"]\"")                                                      \
    ERROR("a[0]", "1:3: parse error: duration must be greater than 0")                                     \
    ERROR("a[-5m]", "1:3: parse error: duration must be greater than 0")                                   \
    ERROR("a[5m:0s]", "1:6: parse error: duration must be greater than 0")                                 \
    ERROR("a[1e10]", "1:3: parse error: duration out of range")                                            \
    ERROR("a offset -1e10", "1:10: parse error: duration out of range")                                    \
    ERROR("a offset inf", "1:10: parse error: duration out of range")                                      \
    ERROR("a[5m/0]", "1:5: parse error: division by zero")                                                 \
    ERROR("a[5m%0s]", "1:5: parse error: modulo by zero")                                                  \
    ERROR("1[5m]", "1:2: parse error: ranges only allowed for vector selectors")                           \
    ERROR("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors")                         \
    ERROR("a[5m][5m]", "1:6: parse error: ranges only allowed for vector selectors")                       \
    ERROR("a offset 5m[5m]", "1:12: parse error: no offset modifiers allowed before range")                \
    ERROR("a offset step()[5m]", "1:16: parse error: no offset modifiers allowed before range")            \
    ERROR("a @ 5 [5m]", "1:7: parse error: no @ modifiers allowed before range")                           \
    ERROR("a @ end()[5m]", "1:10: parse error: no @ modifiers allowed before range")                       \
    ERROR("a[5m][5m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix "        \
                        "instead")                                                                         \
    ERROR("2 + 1[5m:]", "1:5: parse error: subquery is only allowed on instant vector, got scalar "        \
                        "instead")                                                                         \
    /* modifiers */                                                                                        \
    ERROR("a offset", "1:9: parse error: unexpected end of input in offset, expected number, duration, "   \
                      "step(), or range()")                                                                \
    ERROR("a offset b", "1:10: parse error: unexpected identifier \"b\" in offset, expected number, "      \
                        "duration, step(), or range()")                                                    \
    ERROR("a offset - -b", "1:13: parse error: unexpected identifier \"b\" in offset, expected number, "   \
                           "duration, step(), or range()")                                                 \
    ERROR("a offset (1h) + b", "1:17: parse error: unexpected identifier \"b\" in offset, expected "       \
                               "number, duration, step(), or range()")                                     \
    ERROR("a offset - -1 * b", "1:17: parse error: unexpected identifier \"b\" in offset, expected "       \
                               "number, duration, step(), or range()")                                     \
    ERROR("a offset NaN", "1:10: parse error: duration out of range")                                      \
    ERROR("a offset (5m", "1:13: parse error: unclosed left parenthesis")                                  \
    ERROR("a offset 5m offset 1m", "1:1: parse error: offset may not be set multiple times")               \
    ERROR("a offset step() offset 1m", "1:1: parse error: offset may not be set multiple times")           \
    ERROR("abs(a) offset 5m", "1:1: parse error: offset modifier must be preceded by an instant vector "   \
                              "selector or range vector selector or a subquery")                           \
    ERROR("a @", "1:4: parse error: unexpected end of input in @, expected timestamp")                     \
    ERROR("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp")               \
    ERROR("a @ start", "1:10: parse error: unexpected end of input in @, expected timestamp")              \
    ERROR("a @ start(1)", "1:11: parse error: unexpected number \"1\" in @, expected timestamp")           \
    ERROR("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times")                    \
    ERROR("a @ 1 @ end()", "1:1: parse error: @ <timestamp> may not be set multiple times")                \
    ERROR("a @ NaN", "1:1: parse error: timestamp out of bounds for @ modifier: NaN")                      \
    ERROR("a @ -inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf")                    \
    ERROR("a @ 9223372036854775808", "1:1: parse error: timestamp out of bounds for @ modifier: "          \
                                     "9223372036854775808.000000")                                         \
    ERROR("1 @ 2", "1:1: parse error: @ modifier must be preceded by an instant vector selector or range " \
                   "vector selector or a subquery")                                                        \
    ERROR("a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used "       \
                                 "together")                                                               \
    ERROR("a[5m:] smoothed", "1:1: parse error: smoothed modifier is not supported for subqueries")        \
    ERROR("b + a[5m:] anchored", "1:5: parse error: anchored modifier is not supported for subqueries")

#define DISABLED_CASES(DISABLED)                                                                           \
    DISABLED("limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled with "        \
                             "--enable-feature=promql-experimental-functions")                             \
    DISABLED("1 + LIMIT_RATIO(1, a)", "1:5: parse error: limit_ratio() is experimental and must be "       \
                                      "enabled with --enable-feature=promql-experimental-functions")       \
    DISABLED("info(a)", "1:1: parse error: function \"info\" is not enabled")                              \
    DISABLED("abs(sort_by_label(a, \"b\"))", "1:5: parse error: function \"sort_by_label\" is not "        \
                                             "enabled")                                                    \
    DISABLED("step()", "1:1: parse error: function \"step\" is not enabled")                               \
    DISABLED("a anchored", "1:1: parse error: anchored modifier is experimental and not enabled")          \
    DISABLED("rate(a[5m] smoothed)", "1:6: parse error: smoothed modifier is experimental and not "        \
                                     "enabled")                                                            \
    DISABLED("a + fill(0) b", "1:1: parse error: binop fill modifiers are experimental and not enabled")   \
    DISABLED("a[5m+5m]", "1:3: parse error: experimental duration expression is not enabled")              \
    DISABLED("a[(5m)]", "1:4: parse error: experimental duration expression is not enabled")               \
    DISABLED("a[step()]", "1:3: parse error: experimental duration expression is not enabled")             \
    DISABLED("a offset -step()", "1:10: parse error: experimental duration expression is not enabled")     \
    DISABLED("a offset max_of(1, 2)", "1:17: parse error: experimental duration expression is not "        \
                                      "enabled")
/* clang-format on */

#endif
