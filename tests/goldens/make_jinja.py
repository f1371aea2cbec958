"""What Jinja2 makes of templates as transformers sets it up for chat: features one by one, and random expressions.

python tests/goldens/make_jinja.py [OUT] [--random N] [--seed S]   # OUT: tests/goldens/jinja/expected.json by default

Every case is [template, text], or [template, null] where Python refuses it. All have DATA as their variables.
"""

import argparse
import copy
import json
import random
import re
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

DATA = {
    "s": " héllo World ", "w": "one two three four", "n": 3, "m": -7, "z": 0, "f": 1.5, "g": -0.25, "big": 12345678901234567890,
    "t": True, "no": None, "li": [1, 2.0, "a", True, None], "nums": [3, 1, 2, -5], "words": ["b", "A", "c", "a"],
    "d": {"b": 1, "a": {"x": [1, 2]}, "c": None}, "e": [], "ed": {}, "emoji": "😀x😀", "ml": "l1\nl2\n\nl3",
    "q": "it's \"q\"", "tags": "<a href='x'>&</a>", "nested": [[1, [2]], [3]],
    "rows": [{"r": 1, "k": "x"}, {"r": 2, "k": "Y"}, {"r": 1, "k": "z", "o": {"p": 5}}],
    "messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A", "weight": 1}],
}

EXPRESSIONS = r"""
t no f n m big li d e ed emoji q tags nested rows undefinedthing
1e16 1e-5 1.0 100000.0 1e100 0.1+0.2 1/3 2**70 2**-1 -7//2 -7%3 7%-3 7.5//2 -7.5%2 7.5%-2 0.0 -0.0 1e400 5//-2
10**20/3 (2**80)/(2**70) 1_000 0x1f 0b101 0o17 1e5|int 12345678901234567891/7
true+true 1==true 1.0==1 'a'<'b' [1,2]<[1,3] (1,2)==(1,2) [1,2]==(1,2) 1<2<3 1<3<2 {'a':1}=={'a':1.0} none==none 'a'!='b'
'a'*3 3*'ab' [1]*3 (1,)*2 'a'~1~none~1.0 -true +n not(1) 1and2 ''or'x' 'x'if(z) ('x'if(z))is(defined)
s|upper s|lower s|title s|capitalize s|trim s|length s|list s|reverse s|first s|last emoji|length emoji|list emoji[1] emoji[::-1] emoji[-2:]
'abc'[1] 'abc'[-1] 'abc'[5] 'abc'[0:2] 'abc'[::2] 'abc'[::-1] li[0] li[-1] li[10] li['x'] d['b'] d.b d['zz'] d.items d.zz.y li[1:][0] li[::-2] (1,2,3)[1:] range(10)[2:8:2] range(5)[1]
s.strip() s.split() 'a,b,,c'.split(',') 'a,b,c'.split(',',1) 'a,b,c'.rsplit(',',1) '  a  b '.split(none,1) 'aXbX'.rstrip('X') 'xxaxx'.strip('x') ml.splitlines() ml.splitlines(true)
'a-b'.partition('-') 'a-b-c'.rpartition('-') 'abc'.partition('z') 'a'.center(6,'*') 'ab'.center(5) 'a'.ljust(3)~'|' 'a'.rjust(3) '-5'.zfill(4) 'a\tb'.expandtabs(4) 'AbC'.swapcase() 'abc'.find('c') 'abc'.find('z') 'abc'.index('z') 'abcabc'.rfind('b') 'abcabc'.count('bc') 'aaa'.count('') 'aaa'.replace('a','b',2) 'ab'.replace('','-') 'abc'.startswith(('x','a')) 'abc'.endswith('c') 'abc'.startswith('b',1) 'abc'.removeprefix('a') 'abc'.removesuffix('c')
'ß'.upper() 'ǆ'.capitalize() 'ǆx'.title() 'ﬁx'.title() "they're".title() 'İ'.lower() 'ΑΣ'.lower() 'x'.isalpha() 'x1'.isalnum() '²'.isdigit() '²'.isdecimal() '½'.isnumeric() ' '.isspace() ''.isspace() 'Aa'.istitle() 'AA'.isupper() 'a b'.islower() 'a_1'.isidentifier() 'é'.isascii() 'a\n'.isprintable()
'-'.join(['a','b']) '-'.join([1]) '-'.join('abc') 'x'.encode() 'abc'.format(1) '{}-{}'.format(1,'a') '{1}{0}'.format(1,2) '{a}'.format(a=1) '{:>5}|{:<5}|{:^5}'.format(1,2,3) '{:05.1f}'.format(3.14159) '{:,}'.format(1234567) '{:x}{:#b}'.format(255,5) '{:e}'.format(12345.678) '{:g}'.format(0.00001234) '{:.2%}'.format(0.1234) '{0[x]}'.format({'x':1}) '{!r}'.format('a') '{{}}'.format() '{:+d}'.format(5) '{:_}'.format(1234567) '{:.3}'.format('abcdef') '{:*^9}'.format('ab') '{a.b}'.format(a={'b':1}) '{'.format() '{:d}'.format(1.5) '{:s}'.format(1) '{}'.format(1.0) '{:10}|'.format(1.5) '{:08,}'.format(1234) '{:.0f}'.format(0.5) '{:.0f}'.format(1.5)
'%s'%1 '%s-%s'%(1,2) '%d'%3.7 '%5.1f|'%2.25 '%05d'%42 '%-5d|'%42 '%+d'%5 '%x'%255 '%o'%8 '%e'%12345.678 '%g'%1e10 '%g'%0.0001 '%r'%'a' '%%'%() '%(a)s'%{'a':1} '%s'%none '%c'%65 '%.2s'%'abc' '%s' '%d'%'a' '%s%s'%1 '%.0f'%2.5 '%.3e'%0 '%i'%true '%#x'%255 '%10s|'%'é'
d|tojson d|tojson(indent=2) li|tojson q|tojson 'é😀\u2028'|tojson 'é😀'|tojson(ensure_ascii=true) {1:2,none:3,true:4,1.5:5}|tojson {(1,2):3}|tojson (1,2)|tojson d|tojson(sort_keys=true) d|tojson(separators=(',',':')) '\x7f\x01\n'|tojson 1e16|tojson 1e400|tojson undefinedthing|tojson [undefinedthing]|tojson d|tojson(indent='\t') d|tojson(indent=0) big|tojson 1.0|tojson range(3)|tojson d.items()|tojson d.keys()|list|tojson {'b':1,'a':2}|tojson(indent=2,sort_keys=true) e|tojson(indent=2)
d.items() d.keys() d.values() d.get('b') d.get('x') d.get('x',5) d.copy() d.pop('b') d.update({}) d.clear d.fromkeys d|dictsort d|dictsort(by='value') {'b':2,'a':1}|dictsort(by='value') {'B':1,'a':2}|dictsort(true) d|items|list d|list d|length d|first 'b'in(d) 1in(d.values()) ('b',1)in(d.items()) d.items()|first
li|length li|first li|last e|first e|last e|first|default('x') li|join(',') rows|join(',',attribute='r') rows|map(attribute='k')|list rows|map(attribute='o.p',default=0)|list rows|map(attribute='o.p')|list words|map('upper')|list words|map('replace','a','b')|list words|sort words|sort(case_sensitive=true) words|sort(reverse=true) nums|sort rows|sort(attribute='r')|map(attribute='k')|list rows|sort(attribute='r,k',reverse=true)|map(attribute='k')|list li|sort nums|min nums|max words|min e|max rows|max(attribute='r') rows|sum(attribute='r') nums|sum nums|sum(start=1.5) [[1],[2]]|sum(start=[]) words|unique|list [1,1.0,true]|unique|list rows|unique(attribute='r')|list|length nums|batch(3)|list nums|batch(3,0)|list nums|slice(3)|list nums|slice(3,0)|list rows|groupby('r') rows|groupby('k')|map(attribute='grouper')|list rows|groupby('r')|map('last')|map('length')|list (rows|groupby('r'))[0].list|length nums|reverse|list 'abc'|reverse (1,2)|reverse|list nums|select('odd')|list nums|reject('odd')|list nums|select|list rows|selectattr('r','equalto',1)|list|length rows|selectattr('o')|list|length rows|selectattr('o','defined')|list|length rows|rejectattr('o','undefined')|list|length rows|selectattr('k','in',['x','z'])|list|length nums|select('>',1)|list nums|select('nope')|list nums|map('nope')|list nums|map nums|map('abs')|list
n|float n|int '3'|int 'x'|int 'x'|int(5) '0x1f'|int(base=16) '1f'|int(0,16) '3.9'|int '1_0'|int no|int li|int 1e400|int '1e3'|float 'inf'|float 'x'|float(2.5) no|float f|round g|round 2.5|round 3.5|round 2.675|round(2) 1234.5|round(-2) 7|round(-1) 2.5|round(0,'ceil') 2.51|round(1,'floor') -2.5|round(0,'floor') 5|round(1,'floor') f|round('x') m|abs g|abs true|abs 'x'|abs
1000|filesizeformat 1|filesizeformat 0|filesizeformat 123456789|filesizeformat 1024|filesizeformat(true) '5000'|filesizeformat
s|replace('l','L') s|replace('l','L',1) 5|replace(5,6) 'a b'|wordcount w|truncate(10) w|truncate(10,true) w|truncate(10,false,'…') w|truncate(3) w|truncate(12,leeway=0) w|wordwrap(8) 'abcdefghij'|wordwrap(4) 'a-b-cdef ghi'|wordwrap(5) ml|indent ml|indent(2,true) ml|indent('>',blank=true) ml|indent(first=true) 'a'|center(5)~'|' w|center(30) 'x'|string 5|string|length 'a%sb'|format(1) '%(x)s'|format(x=2) tags|e tags|escape|upper (tags|e)|e tags|forceescape tags|safe tags|striptags '<b>x</b> &amp; y'|striptags ('<'|e)~'<' ('<'|e)+'<' '<'+('<'|e) ('<'|safe)+'<' [('<'|safe)] tags|urlencode {'a b':'c/d'}|urlencode [('a',1)]|urlencode 'é/ü~'|urlencode {'a':1,'b':none}|xmlattr {'a':'<'}|xmlattr(false) {'a b':1}|xmlattr d|pprint q|pprint
('<'|safe).upper() ('<'|safe).replace('<','&') ('<a>'|safe)|length ('<a>'|safe)[1] ('a,b'|safe).split(',') ('-'|safe).join(['<','>'])
n|default(5) zz|default(5) zz|d no|default(5) no|default(5,true) ''|default('x',boolean=true) zz.a|default(5) d.zz|default('y') false|default(1,true)
zz is(defined) n is(odd) n is(even) 6is(divisibleby(3)) n is(number) t is(number) f is(float) n is(integer) t is(integer) t is(boolean) no is(none) s is(string) d is(mapping) li is(sequence) s is(sequence) d.keys()is(sequence) zz is(sequence) zz is(iterable) n is(iterable) d.items()is(iterable) range is(callable) zz is(callable) s is(callable) 'a'is(lower) 'A'is(upper) 1is(sameas(1)) true is(sameas(true)) none is(sameas(none)) (tags|e)is(escaped) s is(escaped) 1is(in([1])) 'upper'is(filter) 'nope'is(filter) 'odd'is(test) 1is(eq(1.0)) 1is(lt(2)) 2is(ge(2)) 1is(ne(2)) 1is(nope) n is(not(none)) 5is(true) 0is(false) 'x'is(odd)
'x'in('xyz') ''in('') 1in('1') 1in([1.0]) none in([none]) 'a'not in('b') 1in(zz) 1in(none) 'k'in({'k':1}) [1]in([[1]]) []in({})
range(3) range(3)|list range(1,10,3)|list range(5,0,-2)|list range(0)|list range(1,2,0) range(3)==range(0,3) range(200000) range(3)|length 2in(range(3)) range('a')
dict(a=1) dict([('a',1)]) dict({'a':1},b=2) dict(1) namespace(a=1).a namespace(a=1) namespace(a=1).zz namespace({'a':1}).a namespace(_a=1) cycler('a','b').next() cycler() joiner(',')() lipsum(1)
1.real d.__class__ d.__class__.x s.__len__ s._x d._x li.append li.append(1) li.pop() li.index(2) li.index('zz') li.count(1) (1,2).count(1) (1,2).index(3) li.copy() li.sort() n.bit_length() f.is_integer() n.real n.denominator f.imag (5).conjugate()
zz zz.y zz[0] zz() zz+1 zz~'a' zz==yy zz!=1 zz<1 zz|length zz|list zz|string zz|upper zz|int zz|float [zz] -zz 'a'if(zz)else('b') zz|map('x')|list zz[:1] zz|join zz|sum zz|first zz|trim zz|replace('a','b') zz|sort zz|tojson (zz,1) {zz:1} {'a':zz}
none.x none[0] none() none+1 none~'a' none|upper none|length none|list none|join none|trim none|string none<1 no[:1]
'a'+1 1+'a' [1]+(1,) {}+{} 'a'-'b' []*[] 1/0 1//0 1%0 1.0/0 0**-1 (-8)**0.5 'a'/2 -'a' +'a' 1<'a' []<{} 'a'>1 none<none 1.5**2 2**0.5 4**-2 (-2)**3 10**-2
raise_exception('x') raise_exception is(defined) strftime_now('%d')|length strftime_now is(callable) bos_token tools
'\u00e9\x41\n\t\\\'' "\"" 'a' 'b' '''a''' '\q' '\101' '\U0001F600' '\N{BULLET}' '\x4' '\
' 'a"b' "a'b" ["a'b"] ['a"b'] ['a\'"b'] ['\x00\x7f\u200b\u3000é\ud83d\n\t\\'] ['😀'] ['\xa0\xad']
(1,) () (1,2) [] {} {'a':(1,)} [[],{}] {'a':1,'a':2} {1:'a',1.0:'b',true:'c'} {[]:1} [none,true,1.0,'x'] {'a':{'b':[1,{'c':2}]}}
messages[0].role messages|map(attribute='role')|join(',') messages[-1]['content'] messages[0]|tojson messages|length messages[5] messages[:1] (messages|last).role messages[0]==messages[0] messages|selectattr('role','equalto','user')|map(attribute='content')|first messages|selectattr('weight','defined')|list|length
(1,2)|join [1,[2,3]]|string 1|string~2 'a'|upper|lower|title [3,1]|sort|first (n|string).zfill(5) 1if(true)else(2) (1if(false))|default('z') [1,2,3][-1:] 'a'if(1)else'b'if(0)else'c' 1 is(number)and(true) not(1 is(string)) -1|abs -1.5|abs 2*-3 2--3 1+2*3 2**3**2 -2**2 (1+2)*3 7//2*2 10%4+1 1~2+3 1+2~3 'a'~'b'*2 [1,2]|length+1
x.y.z d.a.x[1] d['a']['x'][-1] d.a.x|sum d.a['x']|length d.a.get('x') (d.a).x 'abc'.0 li.0 nested.0.1.0 nested[0][1][0]
""".strip()

TEMPLATES = [
    "{% for x in nums %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for x in nums %}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.index0 }};{% endfor %}",
    "{% for x in nums %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in words %}{{ loop.cycle('a', 'b', 'c') }}{{ loop.changed(x|lower) }}{% endfor %}",
    "{% for x in nums if x > 0 %}{{ loop.index }}{{ x }}{{ loop.length }}{% else %}none{% endfor %}",
    "{% for x in nums|map('abs') %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}",
    "{% for x in nums|select('odd') %}{{ x }}{{ loop.last }}{{ loop.nextitem }}{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }};{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in zz %}{% else %}empty{% endfor %}",
    "{% for x in [1, 2] recursive %}{{ x }}{% if x is number and loop.depth < 3 %}({{ loop([x * 10]) }}){% endif %}{% endfor %}",
    "{% for x in nested recursive %}[{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{{ loop.depth0 }}{% endif %}]{% endfor %}",
    "{% for x in [1, 2] %}{{ loop([1]) }}{% endfor %}",
    "{% for x in nums %}{% for y in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in nums %}{% for y in loop.cycle('ab', 'c') %}{{ y }}{% endfor %}{% endfor %}",
    "{% for x in nums %}{{ x }}{% if x == 1 %}{% break %}{% endif %}-{% endfor %}!",
    "{% for x in nums %}[{{ x }}{% if x == 1 %}{% continue %}{% endif %}]{% endfor %}",
    "{% for x in nums %}{% set y %}{{ x }}{% if x == 1 %}{% continue %}{% endif %}{% endset %}{{ y }};{% endfor %}",
    "{% for x in nums %}{% with a = x %}{% if a == 1 %}{% break %}{% endif %}{{ a }}{% endwith %}{% endfor %}",
    "{% break %}", "{% for x in nums %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in nums %}{% else %}{% break %}{% endfor %}", "{% for x in nums %}{% generation %}{% continue %}{% endgeneration %}{% endfor %}",
    "{% set x = 1 %}{% for i in nums %}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}",
    "{% for i in nums %}{% set y = (y|default(0)) + i %}{{ y }};{% endfor %}{{ y is defined }}",
    "{% for i in nums %}{% if loop.first %}{% set c = i %}{% endif %}{{ c }};{% endfor %}",
    "{% set c = 9 %}{% for i in nums %}{% if loop.first %}{% set c = i %}{% endif %}{{ c }};{% endfor %}{{ c }}",
    "{% set ns = namespace(x=0, s='') %}{% for i in nums %}{% set ns.x = ns.x + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.x }} {{ ns.s }}",
    "{% set ns = {'x': 1} %}{% set ns.x = 2 %}", "{% set ns = namespace() %}{% set ns._x = 2 %}", "{% set zz.x = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = [1] %}", "{% set (a, b) = 'xy' %}{{ b }}{{ a }}",
    "{% set x %}a{{ n }}{% endset %}{{ x }}{{ x|length }}", "{% set x | upper %}abc{% endset %}{{ x }}",
    "{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}",
    "{% if z %}a{% elif n %}b{% else %}c{% endif %}", "{% if z %}{% set q2 = 1 %}{% else %}{% set q2 = 2 %}{% endif %}{{ q2 }}",
    "{% if false %}{% set n = 5 %}{% endif %}{{ n }}", "{% if true %}{% set n = 5 %}{% endif %}{{ n }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set n = 9 %}{{ n }}{% endwith %}{{ n }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c=3) }}|{{ m(b=5, a=4) }}|{{ m() }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a + 1 }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ n }}{% set n = 7 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}", "{% macro m() %}{{ late }}{% endmacro %}{% set late = 1 %}{{ m() }}",
    "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f(k) %}{{ f(k + 1) }}{% endmacro %}{{ f(0) }}", "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{{ n }}{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}a{% endmacro %}{% call m() %}x{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m(caller=none) %}{{ caller is none }}{% endmacro %}{{ m() }}",
    "{% macro m(caller) %}{{ caller() }}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m() %}{% endmacro %}{{ m.name }}{{ m.arguments }}", "{% for x in nums %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(d) %}{% for k, v in d.items() %}{{ k }}{% if v is mapping %}({{ m(v) }}){% endif %}{% endfor %}{% endmacro %}{{ m(d) }}",
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aa{% endfilter %}", "{% filter upper %}{% set n = 8 %}{% endfilter %}{{ n }}",
    "{% raw %}{{ x }}{% if %}{% endraw %}", "a {%- raw -%} b {{ {%- endraw -%} c", "{% raw %}\n a\n{% endraw %}\nb", "{% raw %}", "a\n  {% raw %}x{% endraw %}\n b",
    "a{# c #}b{#- d -#} e", "a\n  {# c #}\nb", "a {#+ c +#}\n b", "{# unclosed", "{{ '{{' }}{{ '%}' }}{{ \"}}\" }}", "{{ {'a': {'b': 1}}.a.b }}", "{{ {'a': {'b': 1}}}}",
    "  {% if t %}\n  x\n  {% endif %}\n  y\n", "a\n{%- if t %}\nb{% endif -%}\n c", "  {%+ if t %}x{% endif %}", "{% if t +%}\nx{% endif %}", "{% if t %}\n\nx{% endif %}",
    "{{ n }}\n", "{{ n }}\n\n", "\n{{ n -}}\n\n x", "a\t {{- n }}", "a\r\nb\r{{ n }}\r\n", "{{ 'a\r\nb' }}", "x{% set a = 1 %}\n\ny", "\u00a0 {%- if t %}x{% endif %}", " {{ n }}", "\t{% if t %}x{% endif %}",
    "{% block a %}x{{ n }}{% endblock %}", "{% set y = 5 %}{% block a %}{{ y }}{% set y = 6 %}{% endblock %}{{ y }}", "{% for i in nums %}{% block a %}{{ i }}{% endblock %}{% endfor %}",
    "{% for i in nums %}{% block a scoped %}{{ i }}{% endblock %}{% endfor %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% block a required %}{% endblock %}",
    "{% include 'x' %}", "{% include 'x' ignore missing %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% do 1 %}", "{% nope %}", "{% if %}", "{% if t %}", "{% endif %}", "{% for %}", "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{{ 'a }}", "{{ a b }}", "{% set true = 1 %}", "{% for loop in nums %}{% endfor %}", "{% for x in nums %}{% set loop = 1 %}{% endfor %}", "{% set loop = 1 %}{{ loop }}",
    "{{ s|nope }}", "{% if z %}{{ s|nope }}{% endif %}ok", "{{ s|nope if z else 'ok' }}", "{{ 1 is nope }}", "{% if z %}{{ 1 is nope }}{% endif %}ok", "{% if z %}{% for x in nums %}{{ x|nope }}{% endfor %}{% endif %}ok",
    "{% print 1, 'a' %}", "{% print n %}", "{{ 1, 2 }}", "{{ n if t }}", "{{ n if z }}|", "{% autoescape false %}{{ tags }}{% endautoescape %}",
    "{% generation %}{{ n }}{% set n = 9 %}{% endgeneration %}{{ n }}", "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}", "{% set j = joiner(', ') %}{% for x in nums %}{{ j() }}{{ x }}{% endfor %}",
    "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' and not ns.found %}{% set ns.found = true %}{{ m.content }}{% endif %}{% endfor %}{{ ns.found }}",
    "{% set l = [] %}{% set l = l + [1] %}{{ l }}{% set _ = l.append(2) %}", "{% set g = nums|map('abs') %}{{ g|list }}{{ g|list }}", "{% set g = nums|select('odd') %}{{ g|first }}{{ g|list }}", "{{ nums|map('abs') }}",
    "{{ messages[0].role if messages }}", "{% for m in messages[::-1] %}{{ m.role[0] }}{% endfor %}", "{% for m in messages|reverse %}{{ loop.index }}{{ m.role }}{% endfor %}",
    "{{ dict(d, **{'e': 5}) }}", "{{ dict(**d) }}", "{{ range(*[1, 4])|list }}", "{{ '{}{}'.format(*'ab') }}", "{{ dict(a=1, a=2) }}", "{{ dict(a=1, **{'a': 2}) }}", "{{ range(stop=3) }}",
    "{{ 'a' 'b' ~ 'c' }}", "{{ a.b.c }}", "{{ s[0:2:1, 1] }}", "{{ li[0, 1] }}", "{{ d[1:2] }}", "{{ n[0:1] }}", "{{ d.items()[0] }}", "{{ 'x' is in 'xyz' }}", "{{ not n is odd }}", "{{ n is odd and t }}", "{{ n is divisibleby 3 }}", "{{ n is not divisibleby 2 }}", "{{ 1 is number is true }}",
    "{{ ['a', 'b'] | map('upper') | join('-') }}", "{{ rows | map(attribute='r') | map('string') | join('+') }}", "{{ rows | selectattr('r', '>', 1) | map(attribute='k') | list }}", "{{ self }}", "{{ self.a() }}", "{{ super() }}", "{{ loop }}", "{{ caller }}|", "{{ true }}{{ True }}{{ None }}{{ none }}{{ false }}",
    "{% for i in range(1000000) %}{% endfor %}", "{% for i in range(100000) %}{% endfor %}ok", "{{ 'a' * 5 }}{{ (2 ** 200) }}", "{{ 10 ** 5000 }}",
]

RANDOM_FILTERS = """upper lower title trim length list first last reverse string int float abs round sort join unique|list sum min max
tojson default('d') replace('a','b') indent(2) truncate(8) wordcount capitalize center(9) dictsort items|list batch(2)|list slice(2)|list
e urlencode pprint map('string')|list select|list tojson(indent=1) striptags string|length wordwrap(4) filesizeformat xmlattr""".split()
RANDOM_METHODS = """strip() split() upper() title() items() keys() get('b') index(1) count('a') splitlines() replace('l','') startswith('l') isdigit() zfill(9) copy() values() rsplit(' ',1) partition('o') format(1) is_integer()""".split()
RANDOM_TESTS = """defined none string number mapping sequence iterable odd even integer float boolean true lower upper callable""".split()
RANDOM_OPERATORS = "+ - * / // % ~ == != < <= > >= in and or".split() + ["not in"]
LITERALS = ["1", "0", "-3", "2.5", "'l'", "'x y'", "[1,'a']", "(1,2)", "{'b':2}", "none", "true", "1e20", "''", "[]"]


def words_of(text):
    """Expressions end at white space outside of quotes and brackets, unless a word like `is(` goes on with them."""
    words, word, quote, depth = [], "", "", 0
    for at, character in enumerate(text + " "):
        if character.isspace() and not quote and depth == 0:
            if re.match(r"(is|in|and|or|if)\(|else", word) and words:
                words[-1] += " " + word
            elif word:
                words.append(word)
            word = ""
            continue
        word += character
        if quote:
            quote = "" if character == quote and text[at - 1] != "\\" else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
    return words


def random_expression(rng, depth):
    if depth == 0:
        return rng.choice(["s", "w", "n", "m", "z", "f", "g", "big", "t", "no", "li", "nums", "words", "d", "e", "ed", "emoji", "ml", "q", "tags", "nested", "rows", "zz"] + LITERALS)
    one = lambda: random_expression(rng, depth - 1)
    kind = rng.randrange(9)
    if kind < 3:
        return f"({one()})|{rng.choice(RANDOM_FILTERS)}"
    if kind == 3:
        return f"({one()}).{rng.choice(RANDOM_METHODS)}"
    if kind == 4:
        return f"({one()}) is {rng.choice(['', 'not '])}{rng.choice(RANDOM_TESTS)}"
    if kind < 7:
        return f"({one()}) {rng.choice(RANDOM_OPERATORS)} ({one()})"
    if kind == 7:
        return f"({one()})[{rng.choice(['0', '-1', '1:', ':2', '::-1', repr('b'), '5', '::2', '-2:', repr('r')])}]"
    return rng.choice([f"({one()}) if ({one()}) else ({one()})", f"[{one()}, {one()}]", f"{{'k': {one()}}}", f"-({one()})", f"not ({one()})", f"'%s' % ({one()})", f"'{{}}'.format({one()})", f"'%d' % ({one()})"])


NAMES = re.compile(r"\b(" + "|".join(DATA) + r")\b")


def expected(template):
    try:
        # A copy: the filter indent changes lists.
        return _compile_jinja_template(template).render(**copy.deepcopy(DATA), tools=None, documents=None, add_generation_prompt=False)
    except Exception:
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", default=str(Path(__file__).parent / "jinja" / "expected.json"))
    parser.add_argument("--random", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    templates = [f"{{{{ {line} }}}}" for line in words_of(EXPRESSIONS)] + TEMPLATES
    templates += [f"{{{{ {random_expression(rng, rng.choice([1, 2, 2, 3]))} }}}}" for _ in range(options.random)]
    # Slices of constants that have none are undefined when they are folded, and refused here: those have no name in them.
    templates = [template for template in templates if re.search(r"\[.*:", template) is None or NAMES.search(template)]
    cases = [[template, expected(template)] for template in dict.fromkeys(templates)]
    # What has an address in it is another in every run; so are sets of strings.
    cases = [case for case in cases if not re.search(r" at 0x[0-9a-f]{6,}", case[1] or "")]
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    data = json.dumps(DATA, ensure_ascii=True)
    Path(options.out).write_text(f'{{"data": {data},\n"cases": [\n{lines}\n]}}\n')
    print(len(cases), "cases,", sum(text is None for _, text in cases), "refused")


main()
