"""The style of the forms, in the theme's colours, and whose their keys are."""

from __future__ import annotations

from markupsafe import Markup

from sageturner_magic.notebook.display import CODE_FONT, COLOURS, PANEL, SMALL, TEXT_FONT

# A letter that is typed into a list, or beside a button, is no command of the notebook: `m` made
# the form's cell Markdown, and `d d` removed it. Lumino, which JupyterLab and Notebook read keys
# with, passes by an element that has this attribute. With Ctrl, Alt or Cmd a key is theirs.
_OWN_KEYS = (
    "const form=this.closest('.sageturner-form');"
    "const own=e=>e.target.toggleAttribute('data-lm-suppress-shortcuts',"
    "!(e.ctrlKey||e.metaKey||e.altKey));"
    "for(const kind of ['focusin','keydown','keyup'])form.addEventListener(kind,own,true)"
)

_RULES = f"""
.sageturner-form{{font-family:{TEXT_FONT};color:var(--jp-ui-font-color1,inherit);
 font-size:var(--jp-ui-font-size1,13px);container-type:inline-size;max-width:820px;padding:4px 2px}}
.sageturner-form .widget-html-content{{min-width:0;line-height:1.5;overflow-wrap:break-word}}
.sageturner-form .widget-html{{height:auto;margin:0}}
.sageturner-form .widget-label{{color:var(--jp-ui-font-color1,inherit)}}
.sageturner-form :is(input,select,textarea){{color:var(--jp-ui-font-color1,#000);
 background-color:var(--jp-input-background,var(--jp-layout-color1,#fff))}}
.sageturner-form select{{text-overflow:ellipsis;min-height:28px}}
.sageturner-form select:not([size]){{padding-right:26px;background-repeat:no-repeat;
 background-image:linear-gradient(45deg,transparent 50%,currentColor 50%),
 linear-gradient(135deg,currentColor 50%,transparent 50%);background-size:5px 5px;
 background-position:calc(100% - 15px) 55%,calc(100% - 10px) 55%}}
.sageturner-form select option{{padding:2px 4px}}
.sageturner-form :is(input,textarea)::placeholder{{color:{COLOURS["dim"]};opacity:1}}
.sageturner-form :is(input,select,textarea,button,summary):focus-visible{{
 outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:1px}}
.sageturner-form h3{{font-size:14px;font-weight:600;margin:12px 0 2px;
 color:var(--jp-ui-font-color0,inherit)}}
.sageturner-form .sageturner-field{{margin:0 0 6px}}
.sageturner-form .sageturner-help{{color:{COLOURS["dim"]};font-size:{SMALL};line-height:1.4;
 margin-left:178px}}
.sageturner-form ul.sageturner-problem{{color:{COLOURS["bad"]};font-size:{SMALL};line-height:1.4;
 margin:0 0 0 178px;padding:0;list-style:none}}
.sageturner-form ul.sageturner-problem li::before{{content:"✗ "}}
.sageturner-form .sageturner-note{{color:{COLOURS["dim"]};margin:8px 0}}
.sageturner-form .sageturner-help code{{font:inherit;font-family:{CODE_FONT};background:none;
 padding:0;color:inherit}}
.sageturner-form .sageturner-copy{{width:auto;margin:2px;
 height:var(--jp-widgets-inline-height,28px)}}
.sageturner-form .sageturner-copy~span{{margin-right:8px;color:{COLOURS["dim"]}}}
.sageturner-form .sageturner table{{border-collapse:collapse}}
.sageturner-form .sageturner td{{border:none;padding:2px 12px 2px 0;vertical-align:top}}
.sageturner-form .sageturner td:first-child{{white-space:nowrap}}
.sageturner-form .sageturner-pairs{{font-weight:500}}
.sageturner-form :is(table.sageturner-code,table.sageturner-pins){{border-collapse:collapse;
 background:none;margin:4px 0;line-height:1.4}}
.sageturner-form :is(table.sageturner-code,table.sageturner-pins) td{{text-align:left;
 vertical-align:top;border:none;padding:1px 14px 1px 0;background:none;color:inherit}}
.sageturner-form table.sageturner-pins td{{color:{COLOURS["dim"]};font-size:{SMALL}}}
.sageturner-form table.sageturner-pins code{{background:none;padding:0;font-size:{SMALL};
 white-space:nowrap;color:var(--jp-ui-font-color1,inherit);font-family:{CODE_FONT}}}
.sageturner-form .sageturner-below{{margin:2px 2px 2px 178px}}
.sageturner-form .sageturner-inset{{margin-left:176px}}
.sageturner-form .sageturner-captured{{white-space:nowrap;color:{COLOURS["good"]}}}
.sageturner-form :is(.sageturner-stale,.sageturner-missing){{white-space:nowrap;
 color:{COLOURS["bad"]}}}
.sageturner-form pre.sageturner-preview{{margin:0;padding:8px 10px;max-height:520px;overflow:auto;
 white-space:pre-wrap;overflow-wrap:anywhere;font-size:{SMALL};line-height:1.45;
 background:{PANEL};color:var(--jp-content-font-color1,inherit)}}
.sageturner-form .sageturner-status{{min-height:20px;margin:4px 0}}
.sageturner-form .sageturner-fold{{text-align:left;background:none;font-weight:600;
 padding:0 10px 0 0;color:var(--jp-ui-font-color0,inherit);box-shadow:none}}
.sageturner-form .sageturner-fold.mod-active{{background:none;box-shadow:none;
 color:var(--jp-ui-font-color0,inherit)}}
.sageturner-form .sageturner-summary{{display:block;white-space:nowrap;overflow:hidden;
 text-overflow:ellipsis;line-height:32px;color:{COLOURS["dim"]}}}
.sageturner-form .sageturner-folded{{margin:0 0 8px 12px}}
.sageturner-form .jupyter-button:not(.mod-primary):not(.sageturner-fold){{
 background:var(--jp-layout-color2,#eee);color:var(--jp-ui-font-color1,#000)}}
.sageturner-form .jupyter-button.mod-primary{{background:#1565c0;color:#fff}}
.sageturner-form .widget-toggle-buttons .mod-active{{
 box-shadow:inset 0 -3px 0 var(--jp-brand-color1,#1976d2)}}
@container (max-width: 620px){{
 .sageturner-form :is(.sageturner-help,ul.sageturner-problem){{margin-left:2px}}
 .sageturner-form .sageturner-below{{margin-left:2px}}
 .sageturner-form .sageturner-inset{{margin-left:0}}
 .sageturner-form .sageturner-field>.widget-inline-hbox{{flex-wrap:wrap;height:auto}}
 .sageturner-form .sageturner-field>.widget-inline-hbox>.widget-label{{width:100%!important;
  text-align:left}}
}}
"""

STYLE = Markup('<style onload="{}">{}</style>').format(_OWN_KEYS, Markup(_RULES))
