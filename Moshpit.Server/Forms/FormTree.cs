using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Moshpit.Server.Channels;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Forms;

/// <summary>
/// Puts the parameters of a form together to one value, with the outcome that the npm library <c>qs</c> 2.4 has for every mixture of keys.
/// Parameters are first gathered by their whole key, then merged in the order of first appearance.
/// </summary>
internal ref struct FormTree
{
    private const int Gathered = 0;
    private const int Root = 1;

    private readonly ReadOnlySpan<byte> _text;
    private FormNodes _nodes;

    /// <summary>Starts with the empty object.</summary>
    /// <param name="text">The decoded keys and values.</param>
    /// <param name="buckets">See <see cref="FormNodes"/>.</param>
    /// <param name="nodes">See <see cref="FormNodes"/>.</param>
    public FormTree(ReadOnlySpan<byte> text, Span<int> buckets, Span<FormNode> nodes)
    {
        _text = text;
        _nodes = new FormNodes(text, buckets, nodes);
        _nodes.Add(FormNodeKind.Object);
        _nodes.Add(FormNodeKind.Object);
    }

    /// <summary>Adds one parameter. One without <c>=</c> (<paramref name="value"/> is null) replaces the earlier ones of its key.</summary>
    public void Gather(Slice key, Slice? value)
    {
        FormName name = FormName.Of(_text, key);
        int node = _nodes.Find(Gathered, name);
        if (node < 0)
        {
            _nodes.SetText(_nodes.AddChild(Gathered, name), value.GetValueOrDefault());
        }
        else if (value is null)
        {
            _nodes.SetText(node, default);
        }
        else
        {
            if (_nodes[node].Kind == FormNodeKind.Text)
                _nodes.Box(node);
            _nodes.Append(node, value.Value);
        }
    }

    /// <summary>Merges all that was gathered.</summary>
    public void Merge()
    {
        Span<FormSegment> path = stackalloc FormSegment[FormKey.MaxSegments];
        for (int leaf = _nodes[Gathered].FirstChild; leaf >= 0; leaf = _nodes[leaf].NextSibling)
        {
            FormName key = _nodes[leaf].Name;
            if (key.IsNumber)
                continue;
            int length = FormKey.Split(_text, key.Text, _nodes[leaf].Kind == FormNodeKind.Array, path);
            if (length == 0)
                MergeLeaf(Root, leaf);
            else if (!path[0].IsIndex && !path[0].Name.IsNumber)
                MergePath(path[..length], leaf);
        }
    }

    /// <summary>The kind of the member <paramref name="name"/>; null if there is none.</summary>
    /// <param name="name">The member's name.</param>
    /// <param name="text">The member's text; empty if the member is of another kind.</param>
    public readonly FormNodeKind? Field(ReadOnlySpan<byte> name, out ReadOnlySpan<byte> text)
    {
        int node = FindField(name);
        text = node < 0 ? default : _nodes[node].Text.Of(_text);
        return node < 0 ? null : _nodes[node].Kind;
    }

    /// <summary>Whether the member <paramref name="name"/> is an array of strings, which name peers.</summary>
    public readonly bool TryReadStrings(ReadOnlySpan<byte> name, [NotNullWhen(true)] out Addressees? several)
    {
        several = null;
        int list = FindField(name);
        if (list < 0 || _nodes[list].Kind != FormNodeKind.Array)
            return false;
        var names = new Addressees();
        var json = new ArrayBufferWriter<byte>();
        for (int element = _nodes[list].FirstChild; element >= 0; element = _nodes[element].NextSibling)
        {
            if (_nodes[element].Kind != FormNodeKind.Text)
                return false;
            ReadOnlySpan<byte> text = _nodes[element].Text.Of(_text);
            json.ResetWrittenCount();
            JsonText.WriteString(text, json);
            names.Add(text, json.WrittenSpan);
        }

        several = names;
        return true;
    }

    /// <summary>Writes the member <paramref name="name"/> as JSON.</summary>
    public readonly bool TryWriteField(ReadOnlySpan<byte> name, IBufferWriter<byte> output)
    {
        int node = FindField(name);
        if (node < 0)
            return false;
        Write(node, output, inArray: false);
        return true;
    }

    /// <summary>Returns what was rented.</summary>
    public void Dispose() => _nodes.Dispose();

    private void MergePath(scoped ReadOnlySpan<FormSegment> path, int leaf)
    {
        int target = Root;
        for (; !path.IsEmpty; path = path[1..])
        {
            FormSegment segment = path[0];
            int child;
            if (_nodes[target].Kind is FormNodeKind.Text or FormNodeKind.True)
            {
                // A single value meets a structure: both become elements of an array.
                _nodes.Box(target);
                child = _nodes.AddChild(target, FormName.Of(segment.IsIndex ? segment.Name.Number + 1 : 1));
                Build(child, segment.IsIndex ? path[1..] : path, leaf);
                return;
            }

            if (!segment.IsIndex)
                _nodes[target].Kind = FormNodeKind.Object;
            child = _nodes.Find(target, segment.Name);
            if (child < 0 || IsEmptyText(child))
            {
                if (child < 0)
                    child = _nodes.AddChild(target, segment.Name);
                Build(child, path[1..], leaf);
                return;
            }

            target = child;
        }

        MergeLeaf(target, leaf);
    }

    /// <summary>
    /// Gives the new or empty <paramref name="node"/> the value of <paramref name="leaf"/>, within what <paramref name="path"/> leads
    /// through.
    /// </summary>
    private void Build(int node, scoped ReadOnlySpan<FormSegment> path, int leaf)
    {
        foreach (FormSegment segment in path)
        {
            _nodes[node].Kind = segment.IsIndex ? FormNodeKind.Array : FormNodeKind.Object;
            node = _nodes.AddChild(node, segment.Name);
        }

        if (_nodes[leaf].Kind == FormNodeKind.Text)
        {
            _nodes.SetText(node, _nodes[leaf].Text);
            return;
        }

        _nodes[node].Kind = FormNodeKind.Array;
        for (int element = _nodes[leaf].FirstChild; element >= 0; element = _nodes[element].NextSibling)
            _nodes.Append(node, _nodes[element].Text);
    }

    private void MergeLeaf(int target, int leaf)
    {
        if (_nodes[leaf].Kind == FormNodeKind.Text)
        {
            MergeText(target, _nodes[leaf].Text);
            return;
        }

        bool concatenate = _nodes[target].Kind is FormNodeKind.Text or FormNodeKind.True;
        if (concatenate)
            _nodes.Box(target);
        for (int element = _nodes[leaf].FirstChild; element >= 0; element = _nodes[element].NextSibling)
        {
            Slice text = _nodes[element].Text;
            int child = concatenate ? -1 : _nodes.Find(target, _nodes[element].Name);
            if (concatenate)
                _nodes.Append(target, text);
            else if (child < 0)
                _nodes.SetText(_nodes.AddChild(target, _nodes[element].Name), text);
            else if (IsEmptyText(child))
                _nodes.SetText(child, text);
            else
                MergeText(child, text);
        }
    }

    /// <summary>
    /// Merges a string into a value that is there already: an array gets one more element, an object a member that is named by the string
    /// and is <c>true</c>; another string stays as it is. Odd, but it is what clients of the original get.
    /// </summary>
    private void MergeText(int target, Slice text)
    {
        if (text.Length == 0)
            return;
        switch (_nodes[target].Kind)
        {
            case FormNodeKind.Array:
                _nodes.Append(target, text);
                break;
            case FormNodeKind.Object:
                FormName name = FormName.Of(_text, text);
                int member = _nodes.Find(target, name);
                if (member < 0)
                    member = _nodes.AddChild(target, name);
                _nodes.Forget(member);
                _nodes[member].Kind = FormNodeKind.True;
                break;
        }
    }

    private readonly bool IsEmptyText(int node) => _nodes[node].Kind == FormNodeKind.Text && _nodes[node].Text.Length == 0;

    private readonly int FindField(ReadOnlySpan<byte> name)
    {
        for (int child = _nodes[Root].FirstChild; child >= 0; child = _nodes[child].NextSibling)
        {
            if (!_nodes[child].Name.IsNumber && _nodes[child].Name.Text.Of(_text).SequenceEqual(name))
                return child;
        }

        return -1;
    }

    // Recursive, but no deeper than a key has segments and twice two: a list at its end, and an array around a single value.
    private readonly void Write(int node, IBufferWriter<byte> output, bool inArray)
    {
        switch (_nodes[node].Kind)
        {
            case FormNodeKind.Text:
                JsonText.WriteString(_nodes[node].Text.Of(_text), output);
                break;
            case FormNodeKind.True:
                output.Write("true"u8);
                break;
            case FormNodeKind.Array:
                WriteArray(node, output, inArray);
                break;
            case FormNodeKind.Object:
                WriteObject(node, output, inArray);
                break;
        }
    }

    // qs closes up the arrays that it reaches through objects alone. It looks at nothing within an array, and JSON.stringify writes holes
    // as null.
    private readonly void WriteArray(int node, IBufferWriter<byte> output, bool inArray)
    {
        output.Write("["u8);
        int next = 0;
        for (int child = _nodes[node].FirstChild; child >= 0; child = _nodes[child].NextSibling)
        {
            for (; inArray && next < _nodes[child].Name.Number; next++)
                output.Write("null,"u8);
            Write(child, output, inArray: true);
            if (_nodes[child].NextSibling >= 0)
                output.Write(","u8);
            next++;
        }

        output.Write("]"u8);
    }

    private readonly void WriteObject(int node, IBufferWriter<byte> output, bool inArray)
    {
        output.Write("{"u8);
        for (int child = _nodes[node].FirstChild; child >= 0; child = _nodes[child].NextSibling)
        {
            WriteName(_nodes[child].Name, output);
            output.Write(":"u8);
            Write(child, output, inArray);
            if (_nodes[child].NextSibling >= 0)
                output.Write(","u8);
        }

        output.Write("}"u8);
    }

    private readonly void WriteName(FormName name, IBufferWriter<byte> output)
    {
        Span<byte> digits = stackalloc byte[FormName.MaxDigits];
        scoped ReadOnlySpan<byte> text = name.Text.Of(_text);
        if (name.IsNumber)
        {
            name.Number.TryFormat(digits, out int length, provider: CultureInfo.InvariantCulture);
            text = digits[..length];
        }

        JsonText.WriteString(text, output);
    }
}
