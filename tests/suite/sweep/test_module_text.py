"""What is read of a compiled module, by hand on a small one."""

from lossjax.suite.sweep.module_text import ModuleText

TEXT = """HloModule jit_f, is_scheduled=true

%fused_slice (param_0.1: f32[3,8], param_1.1: f32[4,8]) -> f32[4] {
  %param_0.1 = f32[3,8]{1,0} parameter(0)
  %slice.1 = f32[1,8]{1,0} slice(%param_0.1), slice={[0:1], [0:8]}
  %param_1.1 = f32[4,8]{1,0} parameter(1)
  %bitcast.9 = f32[8]{0} bitcast(%slice.1)
  ROOT %dot.1 = f32[4]{0} dot(%param_1.1, %bitcast.9), lhs_contracting_dims={1}, rhs_c={0}
}

%body (arg: (s32[], f32[3,8], f32[4,8])) -> (s32[], f32[3,8], f32[4,8]) {
  %arg = (s32[], f32[3,8]{1,0}, /*index=2*/f32[4,8]{1,0}) parameter(0)
  %count = s32[] get-tuple-element(%arg), index=0
  %a = f32[3,8]{1,0} get-tuple-element(%arg), index=1
  %b = f32[4,8]{1,0} get-tuple-element(%arg), index=2
  %product = f32[4]{0} fusion(%a, /*index=1*/%b), kind=kLoop, calls=%fused_slice, metadata={op_name="x"}
  %library = (bf16[4]{0}, pred[6]{0}) custom-call(%product), custom_call_target="__cudnn$conv"
  ROOT %all = (s32[], f32[3,8]{1,0}, f32[4,8]{1,0}) tuple(%count, %a, %b)
}

%other (arg.1: (s32[])) -> (s32[]) {
  %arg.1 = (s32[]) parameter(0)
  %gone = s32[] get-tuple-element(%arg.1), index=0
  %copy.2 = s32[] copy(%gone)
  ROOT %tuple.2 = (s32[]) tuple(%copy.2)
}

ENTRY %main (x: (s32[], f32[3,8], f32[4,8])) -> (s32[], f32[3,8], f32[4,8]) {
  %x = (s32[], f32[3,8]{1,0}, f32[4,8]{1,0}) parameter(0)
  %w.1 = (s32[]) while(%y), condition=%c.1, body=%other
  %sum = f32[3,8]{1,0} all-reduce(%z), to_apply=%add
  ROOT %w = (s32[], f32[3,8]{1,0}) while(%x), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"17"}}
}
"""  # noqa: E501


def test_a_step_is_the_body_of_the_longest_loop() -> None:
    module = ModuleText(TEXT)
    assert module.step == {"__cudnn$conv": 1, "fusion": 1}
    assert module.trips == [17] and module.collectives == ["all-reduce"]
    assert module.step_flops == 2 * 4 * 8
    # The fusion reads one row of three, all of b, and writes four numbers, which the
    # library reads; it writes four of two bytes and six of one.
    assert module.step_bytes == 4 * (8 + 4 * 8 + 4) + 4 * 4 + 4 * 2 + 6


def test_a_module_without_loops_has_no_step() -> None:
    module = ModuleText(TEXT.split("%body")[0])
    assert module.step == {} and module.step_bytes == 0 and module.trips == []
