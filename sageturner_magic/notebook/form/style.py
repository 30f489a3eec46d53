"""The style of the forms, in the theme's colours, and whose their keys are."""

from __future__ import annotations

from markupsafe import Markup

# A letter that is typed into a list, or beside a button, is no command of the notebook: `m` made
# the form's cell Markdown, and `d d` removed it. Lumino, which JupyterLab and Notebook read keys
# with, passes by an element that has this attribute. With Ctrl, Alt or Cmd a key is theirs.
_OWN_KEYS = (
    "const form=this.closest('.sageturner-form');"
    "const own=e=>e.target.toggleAttribute('data-lm-suppress-shortcuts',"
    "!(e.ctrlKey||e.metaKey||e.altKey));"
    "for(const kind of ['focusin','keydown','keyup'])form.addEventListener(kind,own,true)"
)

STYLE = Markup("""<style onload="{}">
.sageturner-form{font-family:var(--jp-ui-font-family,sans-serif);
 color:var(--jp-ui-font-color1,inherit);font-size:var(--jp-ui-font-size1,13px);
 container-type:inline-size;max-width:1280px;padding:4px 2px}
.sageturner-form .widget-html-content{line-height:1.5;overflow-wrap:anywhere}
.sageturner-form .widget-html{height:auto;margin:0}
.sageturner-form .widget-label{color:var(--jp-ui-font-color1,inherit)}
.sageturner-form input,.sageturner-form select,.sageturner-form textarea{
 background:var(--jp-input-background,var(--jp-layout-color1,#fff));
 color:var(--jp-ui-font-color1,#000)}
.sageturner-form input::placeholder,.sageturner-form textarea::placeholder{
 color:var(--jp-ui-font-color2,#616161);opacity:1}
.sageturner-form :is(input,select,textarea,button,summary):focus-visible{
 outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:1px}
.sageturner-form h3{font-size:14px;font-weight:600;margin:12px 0 2px;
 color:var(--jp-ui-font-color0,inherit)}
.sageturner-form .sageturner-field{margin:0 0 6px}
.sageturner-form .sageturner-help{color:var(--jp-ui-font-color2,#616161);font-size:12px;
 line-height:1.4;margin-left:178px}
.sageturner-form ul.sageturner-problem{color:var(--jp-error-color0,#b71c1c);font-size:12px;
 line-height:1.4;margin:0 0 0 178px;padding:0;list-style:none}
.sageturner-form ul.sageturner-problem li::before{content:"✗ "}
.jp-mod-dark .sageturner-form ul.sageturner-problem,
[data-jp-theme-light="false"] .sageturner-form :is(ul.sageturner-problem,.sageturner-stale,
 .sageturner-missing){color:#ff8a80}
.sageturner-form .sageturner-field:has(.sageturner-pairs) :is(.sageturner-help,
 ul.sageturner-problem){margin-left:2px}
.sageturner-form .sageturner-note{color:var(--jp-ui-font-color2,#616161);margin:8px 0}
.sageturner-form .sageturner-help code{font-size:inherit;background:none;padding:0;color:inherit;
 font-family:var(--jp-code-font-family,monospace)}
.sageturner-form .sageturner-copy{width:auto;margin:2px;height:var(--jp-widgets-inline-height,28px)}
.sageturner-form .sageturner table{border-collapse:collapse}
.sageturner-form .sageturner td{border:none;padding:2px 12px 2px 0;vertical-align:top}
.sageturner-form .sageturner td:first-child{white-space:nowrap}
.sageturner-form .sageturner-copy~span{margin-right:8px;color:var(--jp-ui-font-color2,#616161)}
.sageturner-form .sageturner-pairs{font-weight:500}
.sageturner-form table.sageturner-code{border-collapse:collapse;background:none;margin:0}
.sageturner-form table.sageturner-code td{text-align:left;vertical-align:top;border:none;
 padding:1px 12px 1px 0;background:none;color:inherit}
.sageturner-form table.sageturner-pins{border-collapse:collapse;background:none;margin:4px 0;
 line-height:1.4}
.sageturner-form table.sageturner-pins td{text-align:left;vertical-align:top;border:none;
 padding:0 14px 0 0;background:none;color:var(--jp-ui-font-color2,#616161);font-size:12px}
.sageturner-form table.sageturner-pins code{background:none;padding:0;font-size:12px;
 color:var(--jp-ui-font-color1,inherit);font-family:var(--jp-code-font-family,monospace)}
.sageturner-form .sageturner-below{margin:2px 2px 2px 178px}
.sageturner-form .sageturner-captured{white-space:nowrap;color:var(--jp-ui-font-color1,inherit)}
.sageturner-form :is(.sageturner-stale,.sageturner-missing){white-space:nowrap;
 color:var(--jp-error-color0,#b71c1c)}
.sageturner-form pre.sageturner-preview{margin:0;padding:8px 10px;max-height:520px;overflow:auto;
 white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;line-height:1.45;
 background:var(--jp-layout-color2,#f5f5f5);color:var(--jp-content-font-color1,inherit)}
.sageturner-form .sageturner-status{min-height:20px;margin:4px 0;
 color:var(--jp-ui-font-color1,inherit)}
.sageturner-form .sageturner-fold{text-align:left;background:none;font-weight:600;padding-left:0;
 color:var(--jp-ui-font-color0,inherit);box-shadow:none}
.sageturner-form .sageturner-fold.mod-active{background:none;box-shadow:none;
 color:var(--jp-ui-font-color0,inherit)}
.sageturner-form .jupyter-button:not(.mod-primary):not(.sageturner-fold){
 background:var(--jp-layout-color2,#eee);color:var(--jp-ui-font-color1,#000)}
.sageturner-form .jupyter-button.mod-primary{background:#1565c0;color:#fff}
.sageturner-form .widget-toggle-buttons .mod-active{
 box-shadow:inset 0 -3px 0 var(--jp-brand-color1,#1976d2)}
@container (max-width: 620px){
 .sageturner-form .sageturner-help,.sageturner-form ul.sageturner-problem{margin-left:0}
 .sageturner-form .sageturner-below{margin-left:2px}
}
</style>""").replace("{}", _OWN_KEYS, 1)
