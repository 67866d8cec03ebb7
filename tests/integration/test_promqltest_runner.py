"""The runner of .test files itself: what is wrong in a file fails, with its line, and nothing else does."""

import subprocess

import pytest

import harness

LOAD = """load 1m
  m{a="1"} 0+1x10
  m{a="2"} 0+2x10
  h {{schema:0 count:3 sum:4 buckets:[1 2]}}x10

"""

# A block behind LOAD that must fail, and what its report must contain.
WRONG = {
    "value": ('eval instant at 1m m{a="1"}\n  m{a="1"} 2', 'm{a="1"} 1'),
    "value just outside the tolerance": ('eval instant at 1m m{a="1"}\n  m{a="1"} 1.000003', "expected"),
    "series missing": ('eval instant at 1m m\n  m{a="1"} 1', 'm{a="2"} 2'),
    "series too many": ('eval instant at 1m m{a="1"}\n  m{a="1"} 1\n  m{a="3"} 1', "got"),
    "name": ('eval instant at 1m m{a="1"} * 1\n  m{a="1"} 1', '{a="1"}'),
    "nothing expected": ('eval instant at 1m m{a="1"}', "got instant vector"),
    "order": ('eval instant at 1m sort(m)\n  expect ordered\n  m{a="2"} 2\n  m{a="1"} 1', "order"),
    "type": ('eval instant at 1m h\n  h 3', "count:3"),
    "histogram bucket": ("eval instant at 1m h\n  h {{schema:0 count:3 sum:4 buckets:[2 1]}}", "(1,2]:2"),
    "histogram hint": ("eval instant at 1m h\n  h {{schema:0 count:3 sum:4 buckets:[1 2] counter_reset_hint:gauge}}",
                       "hint:gauge"),
    "scalar": ("eval instant at 1m 1 + 1\n  3", "scalar"),
    "string": ('eval instant at 1m "a"\n  expect string "b"', '"a"'),
    "step of a range": ('eval range from 0 to 2m step 1m m{a="1"}\n  m{a="1"} 0 1 3', "@120"),
    "step too many": ('eval range from 0 to 1m step 1m m{a="1"}\n  m{a="1"} 0 1 2', "got"),
    "gap": ('eval range from 0 to 2m step 1m m{a="1"}\n  m{a="1"} 0 _ 2', "got"),
    "range vector": ('eval instant at 2m m{a="1"}[2m]\n  expect range vector from 1m to 2m step 1m\n  m{a="1"} 1 1', "@120"),
    "no failure": ("eval instant at 1m 1 + 1\n  expect fail\n  2", "expected a failure"),
    "failure": ('eval instant at 1m m * on() m{a="1"}', "many-to-one"),
    "failure's text": ('eval instant at 1m m * on() m{a="1"}\n  expect fail msg: something else', "something else"),
    "failure's pattern": ('eval instant at 1m m * on() m{a="1"}\n  expect fail regex: ^something', "something"),
    "warning missing": ('eval instant at 1m sum(m)\n  expect warn\n  {} 3', "warnings"),
    "warning's text": ('eval instant at 1m quantile(2, m)\n  expect warn msg: other\n  {} +Inf', "got 2 (1:10)"),
    "warning's place": ("eval instant at 1m quantile(2, m)\n  expect warn msg: PromQL warning: quantile value should be "
                        "between 0 and 1, got 2 (1:11)\n  {} +Inf", "(1:10)"),
    "warning not expected": ("eval instant at 1m quantile(2, m)\n  expect no_warn\n  {} +Inf", "none"),
    "info not expected": ('eval instant at 1m rate(m{a="1"}[2m])\n  expect no_info\n  {a="1"} 0.0083333333333', "infos: none"),
    "one of two infos": ('eval instant at 1m rate(m{a="1"}[2m])\n  expect info\n  expect info msg: other\n'
                         '  {a="1"} 0.0083333333333', "infos"),
    "warn and no_warn": ("eval instant at 1m 1\n  expect warn\n  expect no_warn\n  1", "both"),
    "two failures": ("eval instant at 1m 1\n  expect fail\n  expect fail\n  1", "fail"),
    "unknown expectation": ("eval instant at 1m 1\n  expect wonder\n  1", "wonder"),
    "expression": ("eval instant at 1m sum(", "parse error"),
    "command": ("evaluate 1", "evaluate"),
    "time": ("eval instant at 1x m", "1x"),
    "end before start": ("eval range from 2m to 1m step 1m m", "end"),
    "load out of order": ('load 1m\n  m{a="1"} 5', "m"),
    "load of a bad value": ("load 1m\n  n 1 two 3", "two"),
    "load of a bad histogram": ("load 1m\n  n {{schema:0 what:3}}", "what"),
    "duplicate key": ("load 1m\n  n {{count:1 count:2}}", "count"),
    "start timestamps": ("load 1m\n  n@st -1m -1m\n  n 1 2 3", "start timestamps"),
    "buckets that fall": ('load_with_nhcb 1m\n  c_bucket{le="1"} 5\n  c_bucket{le="+Inf"} 3', "cumulative"),
}


def run(path, *flags):
    done = subprocess.run([harness.BUILD / "tests" / "promqltest", *flags, str(path)], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_fails_with_its_line(tmp_path, what):
    block, told = WRONG[what]
    path = tmp_path / "case.test"
    path.write_text(LOAD + block + '\n\neval instant at 1m m{a="2"}\n  m{a="2"} 2\n')
    status, out = run(path)
    assert status == 1, out
    assert f"FAIL case.test:{LOAD.count(chr(10)) + 1}: {block.splitlines()[0]}" in out
    assert told in out
    assert out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"


def test_expected_failures_may_only_shrink(tmp_path):
    path, known = tmp_path / "case.test", tmp_path / "known.txt"
    path.write_text(LOAD + 'eval instant at 1m m{a="1"}\n  m{a="1"} 7\n')
    known.write_text("case.test:6\n")
    status, out = run(path, f"--expect-failures={known}")
    assert (status, out.splitlines()[-1]) == (0, "0 passed, 0 failed, 1 skipped")
    path.write_text(LOAD + 'eval instant at 1m m{a="1"}\n  m{a="1"} 1\n')
    status, out = run(path, f"--expect-failures={known}")
    assert status == 1 and "remove it from the list" in out
    known.write_text("case.test:99\n")
    status, out = run(path, f"--expect-failures={known}")
    assert status == 1 and "no such case" in out


def test_absent_corpus_is_skipped_with_a_message(tmp_path):
    done = subprocess.run([harness.BUILD / "tests" / "promqltest", "--corpus"], capture_output=True, text=True, timeout=60,
                          env={"NARTHEX_PROMQLTEST_DIR": str(tmp_path / "none")})
    assert done.returncode == 77
    assert "skipped" in done.stdout
