using System.Buffers;
using System.Runtime.InteropServices;

namespace Moshpit.Server.Forms;

/// <summary>The values of a form, each a child of its object or array, in one block of memory.</summary>
/// <remarks>
/// Every name is looked up in one hash table, by parent and name, so the work grows with the length of the form, whatever its keys share.
/// The hash is keyed by process: a client can't choose names that collide.
/// </remarks>
internal ref struct FormNodes
{
    private readonly ReadOnlySpan<byte> _text;
    private readonly Span<int> _buckets;
    private Span<FormNode> _nodes;
    private FormNode[]? _rented;
    private int _count;

    /// <param name="text">What names and values are slices of.</param>
    /// <param name="buckets">A power of two, about as many as there are parameters.</param>
    /// <param name="nodes">Room for the first nodes; more are rented.</param>
    public FormNodes(ReadOnlySpan<byte> text, Span<int> buckets, Span<FormNode> nodes)
    {
        _text = text;
        _buckets = buckets;
        _nodes = nodes;
        _buckets.Fill(-1);
    }

    /// <summary>The node at that position; the reference dies with the next node added.</summary>
    public readonly ref FormNode this[int node] => ref _nodes[node];

    /// <summary>Turns a single value into an array of it.</summary>
    public void Box(int node)
    {
        FormNodeKind kind = _nodes[node].Kind;
        Slice text = _nodes[node].Text;
        Forget(node);
        _nodes[node].Kind = FormNodeKind.Array;
        int element = AddChild(node, FormName.Of(0));
        _nodes[element].Kind = kind;
        _nodes[element].Text = text;
    }

    /// <summary>Adds one more element behind the last.</summary>
    public void Append(int array, Slice text)
    {
        int last = _nodes[array].LastChild;
        SetText(AddChild(array, FormName.Of(last < 0 ? 0 : _nodes[last].Name.Number + 1)), text);
    }

    /// <summary>Gives a node a new value, a string.</summary>
    public void SetText(int node, Slice text)
    {
        Forget(node);
        _nodes[node].Kind = FormNodeKind.Text;
        _nodes[node].Text = text;
    }

    /// <summary>Takes a node's value away. Nothing of that value is found any more.</summary>
    public readonly void Forget(int node)
    {
        for (int child = _nodes[node].FirstChild; child >= 0; child = _nodes[child].NextSibling)
            _nodes[child].Parent = -1;
        _nodes[node].FirstChild = -1;
        _nodes[node].LastChild = -1;
        _nodes[node].Text = default;
    }

    /// <summary>The child of that name; -1 if there is none.</summary>
    public readonly int Find(int parent, FormName name)
    {
        int hash = Hash(parent, name);
        for (int node = _buckets[hash & (_buckets.Length - 1)]; node >= 0; node = _nodes[node].NextInBucket)
        {
            if (_nodes[node].Hash == hash && _nodes[node].Parent == parent && _nodes[node].Name.Number == name.Number
                && _nodes[node].Name.Text.Of(_text).SequenceEqual(name.Text.Of(_text)))
                return node;
        }

        return -1;
    }

    /// <summary>Adds a child that isn't there yet.</summary>
    public int AddChild(int parent, FormName name)
    {
        int node = Add(FormNodeKind.Text);
        int hash = Hash(parent, name);
        ref int bucket = ref _buckets[hash & (_buckets.Length - 1)];
        ref FormNode child = ref _nodes[node];
        child.Name = name;
        child.Parent = parent;
        child.Hash = hash;
        child.NextInBucket = bucket;
        bucket = node;

        ref FormNode owner = ref _nodes[parent];
        int before = owner.LastChild;
        if (owner.Kind == FormNodeKind.Array && before >= 0 && _nodes[before].Name.Number > name.Number)
        {
            // Only a key's own index leaves gaps, and it is at most 20 (21 behind a single value), so this is a walk of a few steps.
            before = -1;
            for (int next = owner.FirstChild; _nodes[next].Name.Number < name.Number; next = _nodes[next].NextSibling)
                before = next;
        }

        ref int link = ref before < 0 ? ref owner.FirstChild : ref _nodes[before].NextSibling;
        child.NextSibling = link;
        link = node;
        if (before == owner.LastChild)
            owner.LastChild = node;
        return node;
    }

    /// <summary>Adds a node without a parent.</summary>
    public int Add(FormNodeKind kind)
    {
        if (_count == _nodes.Length)
            Grow();
        _nodes[_count] = new FormNode { Kind = kind, Parent = -1, NextInBucket = -1, NextSibling = -1, FirstChild = -1, LastChild = -1 };
        return _count++;
    }

    /// <summary>Returns what was rented.</summary>
    public void Dispose()
    {
        FormNode[]? rented = _rented;
        _rented = null;
        _nodes = default;
        if (rented is not null)
            ArrayPool<FormNode>.Shared.Return(rented);
    }

    private readonly int Hash(int parent, FormName name)
    {
        if (name.IsNumber)
            return HashCode.Combine(parent, name.Number);
        // The keyed hash of the runtime takes characters: two bytes make one, whatever they mean.
        ReadOnlySpan<byte> text = name.Text.Of(_text);
        int odd = text.Length % 2 == 0 ? -1 : text[^1];
        return HashCode.Combine(parent, odd, string.GetHashCode(MemoryMarshal.Cast<byte, char>(text)));
    }

    private void Grow()
    {
        FormNode[] larger = ArrayPool<FormNode>.Shared.Rent(_nodes.Length * 2);
        _nodes.CopyTo(larger);
        FormNode[]? smaller = _rented;
        _rented = larger;
        _nodes = larger;
        if (smaller is not null)
            ArrayPool<FormNode>.Shared.Return(smaller);
    }
}

/// <summary>One value of a <see cref="FormTree"/>. Nodes refer to each other by position; -1 is none.</summary>
internal struct FormNode
{
    public FormNodeKind Kind;

    /// <summary>The text, if <see cref="Kind"/> is <see cref="FormNodeKind.Text"/>.</summary>
    public Slice Text;

    public FormName Name;

    /// <summary>The parent under which the name is looked up; -1 once the parent was given another value.</summary>
    public int Parent;

    /// <summary>The hash of <see cref="Parent"/> and <see cref="Name"/>.</summary>
    public int Hash;

    public int NextInBucket;

    public int NextSibling;

    /// <summary>The children in the order of their first appearance; an array's by ascending index.</summary>
    public int FirstChild;

    public int LastChild;
}

/// <summary>What a value of a form is.</summary>
internal enum FormNodeKind : byte
{
    /// <summary>A string, as every value is sent.</summary>
    Text,

    /// <summary>The value of a member that was named by a value; see <see cref="FormTree.MergeText"/>.</summary>
    True,

    Object,

    Array,
}
